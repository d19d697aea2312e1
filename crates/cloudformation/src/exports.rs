//! What stacks export, and who imports it.

use stillwire_awswire::{Parameters, Xml};

use crate::error::{Answered, Refused};
use crate::page::page;
use crate::reading::Reading;
use crate::room::Room;
use crate::state::Place;

pub(crate) fn list(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let state = room.state();
    let exports = state.there(place).flat_map(|stack| {
        let exports = stack.reading().into_iter().flat_map(Reading::exports);
        exports.map(move |(name, output)| (stack, name, output))
    });
    let page = page(exports, query.get("NextToken"))?;
    let mut xml = Xml::new();
    xml.members("Exports", &page.items, |xml, (stack, name, output)| {
        xml.text("ExportingStackId", &stack.id).text("Name", name).text("Value", &output.value);
    });
    page.write_token(&mut xml);
    Ok(xml)
}

pub(crate) fn importers(room: &Room, place: &Place, query: &Parameters) -> Answered<Xml> {
    let name = query.get("ExportName").ok_or_else(|| Refused::missing("exportName"))?;
    let state = room.state();
    let page = page(state.importers(place, name), query.get("NextToken"))?;
    if page.items.is_empty() {
        return Err(Refused::invalid(format!("Export '{name}' is not imported by any stack.")));
    }
    let mut xml = Xml::new();
    xml.texts("Imports", page.items.iter().map(|stack| &stack.name));
    page.write_token(&mut xml);
    Ok(xml)
}
