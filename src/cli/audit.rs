//! Who did what, when: the lines of an audit view.

use super::output::Out;
use crate::requests::AuditLine;

/// Prints them, the newest first.
pub(super) fn show(lines: &[AuditLine], out: &mut Out) -> anyhow::Result<()> {
    if out.wants_json() {
        let lines: Result<Vec<_>, _> = lines.iter().map(serde_json::to_value).collect();
        return out.json_list("lines", lines?.into_iter());
    }
    let row = |line: &AuditLine| {
        let clips: Vec<String> = line.clips.iter().map(|clip| clip.0.to_string()).collect();
        let request = line.request.map_or_else(String::new, |request| request.0.to_string());
        let home = line.household.map_or_else(String::new, |home| home.0.to_string());
        let at = out.time(line.at.0);
        vec![at, line.who.clone(), line.what.clone(), request, home, clips.join(" ")]
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    if rows.is_empty() {
        return out.line("Nothing happened yet.");
    }
    out.table(&["WHEN", "WHO", "WHAT", "REQUEST", "HOME", "CLIPS"], &[], rows)
}
