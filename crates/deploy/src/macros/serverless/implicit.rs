//! The REST and HTTP APIs that SAM makes for functions whose events name none. They are not served here; outputs
//! that name them have a value.

use super::{Sam, Transform, with};
use crate::node::{Member, Node};

impl Transform<'_> {
    pub(super) fn implicit_rest_api(&mut self, sam: &Sam<'_>, event: &Member) {
        let id = "ServerlessRestApi";
        if self.is_declared(event, "RestApiId", id) {
            return;
        }
        self.make(sam, id, "AWS::ApiGateway::RestApi", Vec::new());
        let mut properties = with(Vec::new(), "RestApiId", Self::ref_to(sam, id));
        properties = with(properties, "StageName", Node::text(sam.at, "Prod"));
        self.make(sam, "ServerlessRestApiProdStage", "AWS::ApiGateway::Stage", properties);
        self.renamed.insert(format!("{id}.Stage"), "ServerlessRestApiProdStage".to_owned());
        self.rest_deployment(sam, id);
    }

    pub(super) fn implicit_http_api(&mut self, sam: &Sam<'_>, event: &Member) {
        let id = "ServerlessHttpApi";
        if self.is_declared(event, "ApiId", id) {
            return;
        }
        let protocol = with(Vec::new(), "ProtocolType", Node::text(sam.at, "HTTP"));
        self.make(sam, id, "AWS::ApiGatewayV2::Api", protocol);
        let stage = "ServerlessHttpApiApiGatewayDefaultStage";
        let mut properties = with(Vec::new(), "ApiId", Self::ref_to(sam, id));
        properties = with(properties, "StageName", Node::text(sam.at, "$default"));
        self.make(sam, stage, "AWS::ApiGatewayV2::Stage", properties);
        self.renamed.insert(format!("{id}.Stage"), stage.to_owned());
    }

    fn is_declared(&self, event: &Member, property: &str, id: &str) -> bool {
        Self::names_an_api(event, property)
            || self.kinds.contains_key(id)
            || self.made.iter().any(|member| member.name == id)
    }
}
