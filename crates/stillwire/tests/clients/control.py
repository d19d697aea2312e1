"""Builds and changes APIs through the control plane, as boto3 does, and talks to what was built.

Usage: control.py READY_FILE_CONTENT CASE. Prints one line of JSON: what each step gave.
"""

import json
import socket
import sys
from urllib.parse import urlsplit

import boto3
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from outcomes import outcome

ready, case = json.loads(sys.argv[1]), sys.argv[2]
gateway = boto3.client(
    "apigatewayv2",
    endpoint_url=ready["aws_endpoint"],
    region_name="us-east-1",
    aws_access_key_id="key",
    aws_secret_access_key="secret",
)
seen = {}


def function_uri():
    [function] = ready["functions"]
    return f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function['arn']}/invocations"


def new_api(name="chat", **more):
    expression = "$request.body.action"
    return gateway.create_api(
        Name=name, ProtocolType="WEBSOCKET", RouteSelectionExpression=expression, **more
    )


def mock(api, text):
    """An integration that answers with a text."""
    integration = gateway.create_integration(
        ApiId=api,
        IntegrationType="MOCK",
        TemplateSelectionExpression="200",
        RequestTemplates={"200": '{"statusCode": 200}'},
    )["IntegrationId"]
    gateway.create_integration_response(
        ApiId=api,
        IntegrationId=integration,
        IntegrationResponseKey="$default",
        TemplateSelectionExpression="200",
        ResponseTemplates={"200": text},
    )
    return integration


def route(api, key, integration, **more):
    """A two-way route."""
    made = gateway.create_route(
        ApiId=api,
        RouteKey=key,
        Target=f"integrations/{integration}",
        RouteResponseSelectionExpression="$default",
        **more,
    )["RouteId"]
    gateway.create_route_response(ApiId=api, RouteId=made, RouteResponseKey="$default")
    return made


def stage(api, name="live", **more):
    return gateway.create_stage(ApiId=api, StageName=name, **more)


def url(api, name="live"):
    return f"{gateway.get_api(ApiId=api)['ApiEndpoint']}/{name}"


def ask(api, action, name="live"):
    """What a fresh connection gets for a message of this action; the status where it is refused."""
    try:
        with connect(url(api, name), open_timeout=30) as socket:
            return said(socket, action)
    except InvalidStatus as refused:
        return refused.response.status_code


def said(socket, action):
    socket.send(json.dumps({"action": action}))
    text = socket.recv(timeout=30)
    return json.loads(text)["message"] if text.startswith('{"message"') else text


def build():
    """An API is built from nothing, deployed, and used; later changes are served when they are deployed."""
    made = new_api(Description="built here", Tags={"team": "a"})
    api = made["ApiId"]
    seen["api"] = {
        name: made[name]
        for name in ("Name", "ProtocolType", "ApiKeySelectionExpression", "Description", "Tags")
    }
    seen["deployed too early"] = outcome(gateway.create_deployment, ApiId=api)
    one = mock(api, "one")
    echo = gateway.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=function_uri()
    )
    seen["integration"] = [echo[name] for name in ("TimeoutInMillis", "ConnectionType")]
    first = route(api, "one", one)
    route(api, "echo", echo["IntegrationId"])
    gateway.create_route(
        ApiId=api, RouteKey="$disconnect", Target=f"integrations/{echo['IntegrationId']}"
    )
    stage(api)
    seen["nothing deployed"] = ask(api, "one")
    deployment = gateway.create_deployment(ApiId=api, StageName="live", Description="first")
    seen["deployment"] = [deployment[name] for name in ("DeploymentStatus", "Description")]
    seen["one"] = ask(api, "one")
    seen["echo"] = json.loads(ask(api, "echo"))

    # What comes after the deployment is not part of it.
    two = mock(api, "two")
    second = route(api, "two", two)
    gateway.update_route(ApiId=api, RouteId=first, Target=f"integrations/{two}")
    seen["before"] = [ask(api, "one"), ask(api, "two")]
    stage(api, "next", AutoDeploy=True)
    seen["automatic"] = [ask(api, "one", "next"), ask(api, "two", "next"), ask(api, "one")]
    with connect(url(api), open_timeout=30) as socket:
        said(socket, "one")
        gateway.create_deployment(ApiId=api, StageName="live")
        seen["open connections follow"] = [said(socket, "one"), said(socket, "two")]
    gateway.update_stage(ApiId=api, StageName="live", DeploymentId=deployment["DeploymentId"])
    seen["back"] = [ask(api, "one"), ask(api, "two"), ask(api, "two", "next")]
    gateway.delete_route(ApiId=api, RouteId=second)
    seen["without"] = ask(api, "two", "next")
    message = gateway.get_stage(ApiId=api, StageName="next")["LastDeploymentStatusMessage"]
    seen["status"] = message.split(" with ")[0]

    # Stages and APIs go, and their connections with them.
    with connect(url(api, "next"), open_timeout=30) as socket:
        said(socket, "one")
        gateway.delete_stage(ApiId=api, StageName="next")
        seen["stage gone"] = [closed(socket), ask(api, "one", "next"), ask(api, "one")]
    address = url(api)
    with connect(address, open_timeout=30) as socket:
        said(socket, "one")
        gateway.delete_api(ApiId=api)
        seen["api gone"] = closed(socket)
    try:
        with connect(address, open_timeout=30):
            seen["after"] = "accepted"
    except (InvalidStatus, OSError):
        seen["after"] = "refused"
    seen["unknown"] = outcome(gateway.get_api, ApiId=api)[:2]


def closed(socket):
    try:
        return socket.recv(timeout=30)
    except ConnectionClosed as end:
        return end.rcvd.code


def mistakes():
    """What is refused, and how."""
    api = new_api("mistakes")["ApiId"]
    at = {"ApiId": api}
    one = mock(api, "one")
    first = route(api, "one", one)
    seen["http api"] = outcome(gateway.create_api, Name="x", ProtocolType="HTTP")
    seen["no expression"] = outcome(gateway.create_api, Name="x", ProtocolType="WEBSOCKET")
    seen["bad expression"] = outcome(
        gateway.create_api, Name="x", ProtocolType="WEBSOCKET", RouteSelectionExpression="${request.body"
    )
    seen["too long"] = outcome(
        gateway.create_integration, IntegrationType="MOCK", TimeoutInMillis=40_000, **at
    )
    seen["bad word"] = outcome(gateway.create_integration, IntegrationType="FAX", **at)
    seen["twice"] = outcome(gateway.create_route, RouteKey="one", **at)
    seen["used"] = outcome(gateway.delete_integration, IntegrationId=one, **at)
    seen["used"][2] = seen["used"][2].replace(first, "ROUTE")
    seen["no target"] = outcome(gateway.create_route, RouteKey="x", Target="integrations/nope", **at)
    seen["missing route"] = outcome(gateway.get_route, RouteId="nope", **at)
    seen["missing stage"] = outcome(gateway.get_stage, StageName="nope", **at)
    seen["missing deployment"] = outcome(
        gateway.create_stage, StageName="x", DeploymentId="nope", **at
    )
    seen["missing api"] = outcome(gateway.get_routes, ApiId="nope")
    seen["route settings"] = outcome(
        gateway.create_stage,
        StageName="x",
        RouteSettings={"nope": {"ThrottlingBurstLimit": 1, "ThrottlingRateLimit": 1.0}},
        **at,
    )
    stage(api)
    seen["stage twice"] = outcome(gateway.create_stage, StageName="live", **at)
    seen["stage name"] = outcome(gateway.create_stage, StageName="no spaces here", **at)
    deployed = gateway.create_deployment(StageName="live", **at)["DeploymentId"]
    seen["active"] = outcome(gateway.delete_deployment, DeploymentId=deployed, **at)
    seen["bad token"] = outcome(gateway.get_routes, NextToken="~", **at)
    seen["a cors configuration"] = outcome(gateway.delete_cors_configuration, **at)
    tags = {f"tag{number}": "x" for number in range(51)}
    seen["many tags"] = outcome(stage, api=api, name="tagged", Tags=tags)
    # Nothing of all this has changed the API.
    seen["routes"] = [route["RouteKey"] for route in gateway.get_routes(**at)["Items"]]
    seen["answer"] = ask(api, "one")


def settings():
    """Every kind of part is listed, changed and removed; paging neither repeats nor forgets."""
    api = new_api("settings")["ApiId"]
    at = {"ApiId": api}
    integration = mock(api, "one")
    keys = [f"route{number}" for number in range(7)]
    for key in keys:
        route(api, key, integration)
    pages = gateway.get_paginator("get_routes").paginate(PaginationConfig={"PageSize": 3}, **at)
    pages = [[item["RouteKey"] for item in page["Items"]] for page in pages]
    seen["pages"] = [[len(page) for page in pages], sorted(sum(pages, [])) == keys]

    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    model = gateway.create_model(Name="Number", Schema=json.dumps(schema), **at)["ModelId"]
    template = gateway.get_model_template(ModelId=model, **at)["Value"]
    seen["template"] = "42" in template and "inputRoot" in template
    found = gateway.get_routes(**at)["Items"][0]
    checked = {"ApiId": api, "RouteId": found["RouteId"]}
    gateway.update_route(
        ModelSelectionExpression="$request.body.action",
        RequestModels={found["RouteKey"]: "Number"},
        RequestParameters={"route.request.querystring.q": {"Required": True}},
        OperationName="Count",
        **checked,
    )
    stage(api, AutoDeploy=True, StageVariables={"a": "1", "b": "2"})
    seen["model"] = ask(api, found["RouteKey"])
    gateway.delete_route_request_parameter(
        RequestParameterKey="route.request.querystring.q", **checked
    )
    gateway.update_route(
        ModelSelectionExpression="", RequestModels={found["RouteKey"]: ""}, OperationName="", **checked
    )
    left = gateway.get_route(**checked)
    names = ("ModelSelectionExpression", "OperationName", "RequestModels", "RequestParameters")
    seen["left"] = {name: left[name] for name in names if name in left}
    seen["without model"] = ask(api, found["RouteKey"])
    seen["delete model"] = outcome(gateway.delete_model, ModelId=model, **at)

    authorizer = gateway.create_authorizer(
        Name="gate",
        AuthorizerType="REQUEST",
        AuthorizerUri=function_uri(),
        IdentitySource=["route.request.header.Auth"],
        **at,
    )["AuthorizerId"]
    connect_route = gateway.create_route(
        RouteKey="$connect",
        AuthorizationType="CUSTOM",
        AuthorizerId=authorizer,
        Target=f"integrations/{integration}",
        **at,
    )["RouteId"]
    seen["gate"] = ask(api, keys[1])
    seen["gate in use"] = outcome(gateway.delete_authorizer, AuthorizerId=authorizer, **at)[:2]
    gateway.delete_route(RouteId=connect_route, **at)
    seen["delete gate"] = outcome(gateway.delete_authorizer, AuthorizerId=authorizer, **at)

    gateway.update_stage(StageName="live", StageVariables={"a": "", "c": "3"}, **at)
    live = gateway.get_stage(StageName="live", **at)
    seen["variables"] = live["StageVariables"]
    seen["default settings"] = live["DefaultRouteSettings"]
    gateway.update_stage(
        StageName="live",
        RouteSettings={keys[1]: {"ThrottlingBurstLimit": 0, "ThrottlingRateLimit": 0.0}},
        AccessLogSettings={
            "DestinationArn": "arn:aws:logs:us-east-1:000000000000:log-group:x",
            "Format": "$context.requestId",
        },
        **at,
    )
    nameless = {"DestinationArn": "arn:aws:logs:us-east-1:000000000000:log-group:x", "Format": "$context.connectionId"}
    seen["nameless log"] = outcome(gateway.update_stage, StageName="live", AccessLogSettings=nameless, **at)
    seen["throttled"] = ask(api, keys[1])
    gateway.delete_route_settings(StageName="live", RouteKey=keys[1], **at)
    gateway.delete_access_log_settings(StageName="live", **at)
    seen["not throttled"] = ask(api, keys[1])
    seen["no log"] = "AccessLogSettings" in gateway.get_stage(StageName="live", **at)

    response = gateway.get_integration_responses(IntegrationId=integration, **at)["Items"][0]
    inside = {"IntegrationId": integration, **at}
    inside["IntegrationResponseId"] = response["IntegrationResponseId"]
    gateway.update_integration_response(ResponseTemplates={"200": "changed"}, **inside)
    seen["changed"] = ask(api, keys[1])
    gateway.delete_integration_response(**inside)
    seen["gone response"] = outcome(gateway.get_integration_response, **inside)[:2]
    gateway.update_api(Name="renamed", Version="2", **at)
    seen["renamed"] = [gateway.get_api(**at)[name] for name in ("Name", "Version")]

    for arn in (f"arn:aws:apigateway:us-east-1::/apis/{api}", f"arn:aws:apigateway:us-east-1::/apis/{api}/stages/live"):
        gateway.tag_resource(ResourceArn=arn, Tags={"a": "1", "b c": "2"})
        gateway.untag_resource(ResourceArn=arn, TagKeys=["a"])
        seen.setdefault("tags", []).append(gateway.get_tags(ResourceArn=arn)["Tags"])


def template():
    """The app's own API can be read and changed; what is changed holds for this run."""
    [api] = gateway.get_apis()["Items"]
    at = {"ApiId": api["ApiId"]}
    seen["name"] = api["Name"]
    routes = gateway.get_routes(**at)["Items"]
    seen["routes"] = sorted(route["RouteKey"] for route in routes)
    seen["stage"] = [stage["StageName"] for stage in gateway.get_stages(**at)["Items"]]
    seen["before"] = json.loads(ask(api["ApiId"], "more", "test"))
    route(api["ApiId"], "more", mock(api["ApiId"], "more"))
    seen["after"] = ask(api["ApiId"], "more", "test")


def domains():
    """Custom domains come, change and go; connections stay."""
    api = new_api("domains")["ApiId"]
    route(api, "one", mock(api, "one"))
    stage(api, AutoDeploy=True)
    stage(api, "next", AutoDeploy=True)
    name = "ws.example.net"
    seen["no name"] = outcome(gateway.create_domain_name, DomainName="localhost")[:2]
    made = gateway.create_domain_name(DomainName=name)
    seen["made"] = [made["DomainName"], made["ApiMappingSelectionExpression"]]
    seen["twice"] = outcome(gateway.create_domain_name, DomainName=name)[:2]
    seen["nothing mapped"] = ask_domain(name, "v1", "one")
    at = {"DomainName": name, "ApiId": api}
    mapping = gateway.create_api_mapping(Stage="live", ApiMappingKey="v1", **at)["ApiMappingId"]
    seen["mapped"] = [ask_domain(name, "v1", "one"), ask_domain(name, "v2", "one")]
    seen["taken"] = outcome(gateway.create_api_mapping, Stage="next", ApiMappingKey="v1", **at)[:2]
    seen["bad key"] = outcome(gateway.create_api_mapping, Stage="next", ApiMappingKey="a/b", **at)[:2]
    with connect(domain_url(name, "v1"), open_timeout=30) as client:
        gateway.update_api_mapping(ApiMappingId=mapping, ApiMappingKey="v2", **at)
        seen["connections stay"] = said(client, "one")
        seen["changed"] = [ask_domain(name, "v1", "one"), ask_domain(name, "v2", "one")]
        seen["by name"] = ask_at(url(api).replace("/live", "/v2"), "one", name)
        address = domain_url(name, "v2")
        gateway.delete_api_mapping(DomainName=name, ApiMappingId=mapping)
        seen["unmapped"] = ask_domain(name, "v2", "one")
        gateway.delete_domain_name(DomainName=name)
        seen["still here"] = said(client, "one")
    seen["gone"] = outcome(gateway.get_domain_name, DomainName=name)[:2]
    try:
        seen["its port"] = ask_at(address, "one")
    except OSError:
        seen["its port"] = "refused"

    # The app's own.
    [own] = gateway.get_domain_names()["Items"]
    [mapping] = gateway.get_api_mappings(DomainName=own["DomainName"])["Items"]
    seen["own"] = [own["DomainName"], mapping["ApiMappingKey"], mapping["Stage"]]
    gateway.update_api_mapping(
        DomainName=own["DomainName"], ApiMappingId=mapping["ApiMappingId"],
        ApiId=mapping["ApiId"], ApiMappingKey="other",
    )
    seen["own changed"] = ask_domain(own["DomainName"], "other", "echo")


def domain_url(name, key):
    """The address of a mapping, which the service shows as what the name has to lead to."""
    [configuration] = gateway.get_domain_name(DomainName=name)["DomainNameConfigurations"]
    return f"ws://{configuration['ApiGatewayDomainName']}/{key}"


def ask_domain(name, key, action):
    return ask_at(domain_url(name, key), action)


def ask_at(address, action, host=None):
    """What a fresh connection to an address gets, by this name if there is one."""
    at = urlsplit(address)
    if host:
        address = address.replace(at.netloc, host)
    try:
        opened = socket.create_connection((at.hostname, at.port), timeout=30)
        with connect(address, sock=opened, open_timeout=30) as client:
            return said(client, action)
    except InvalidStatus as refused:
        return refused.response.status_code


def keep():
    """Leaves an API behind, with a domain."""
    api = new_api("kept")["ApiId"]
    route(api, "one", mock(api, "one"))
    stage(api, AutoDeploy=True)
    gateway.create_domain_name(DomainName="kept.example.net")
    gateway.create_api_mapping(DomainName="kept.example.net", ApiId=api, Stage="live")
    seen["id"], seen["one"] = api, ask(api, "one")
    seen["domain"] = ask_domain("kept.example.net", "", "one")


def kept():
    """Finds it again."""
    [api] = [api for api in gateway.get_apis()["Items"] if api["Name"] == "kept"]
    seen["id"], seen["one"] = api["ApiId"], ask(api["ApiId"], "one")
    seen["domain"] = ask_domain("kept.example.net", "", "one")


globals()[case]()
print(json.dumps(seen))
