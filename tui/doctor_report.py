"""What the doctor found, as lines and as JSON."""

from core.cluster.doctor import DoctorReport, Finding
from core.safe_text import quoted, visible
from tui.formatting import counted, whole
from tui.output import Json

DOCTOR_FIELDS = """\
keys, repaired, unrepaired, unreachable[], reasons {server: why}
counts {misplaced, under-replicated, diverged, orphaned, corrupt}
findings[] (the first 1,000): fault, key, servers[], owners[]"""

_KEY_CHARACTERS = 80
_LONGEST_KEY = 1_024 * 10
_FINDINGS_SHOWN = 50
_REASON_CHARACTERS = 300


def doctor_lines(report: DoctorReport, *, repair: bool) -> list[str]:
    """Return what was found in lines of safe characters, the findings first.

    Args:
        report: the report.
        repair: whether it was asked to repair.
    """
    lines = [_finding(finding) for finding in report.findings[:_FINDINGS_SHOWN]]
    found = sum(report.counts.values())
    if found > len(lines):
        lines.append(f"{whole(found - len(lines))} more not shown (--json lists up to 1,000)")
    looked = f"{counted(report.keys, 'key')} looked at"
    for server_id in report.unreachable:
        reason = visible(report.reasons.get(server_id, "it does not answer"), _REASON_CHARACTERS)
        lines.append(f"not all of {visible(server_id, 64)} could be looked at: {reason}")
    if report.healthy:
        lines.append(f"{looked}: nothing wrong")
        return lines
    kinds = ", ".join(f"{whole(count)} {fault}" for fault, count in report.counts.items() if count)
    lines.append(f"{looked}: {kinds}")
    if not repair:
        lines.append("nothing was changed: --repair puts right what can be")
        return lines
    lines.append(f"{counted(report.repaired, 'key')} repaired")
    if report.unrepaired:
        lines.append(
            f"{counted(report.unrepaired, 'key')} not repaired: no other replica has a sound copy; "
            "store it again, or remove it with ringtop rm"
        )
    return lines


def doctor_document(report: DoctorReport) -> dict[str, Json]:
    """Return what was found, for scripts."""
    return {
        "keys": report.keys,
        "repaired": report.repaired,
        "unrepaired": report.unrepaired,
        "unreachable": list(report.unreachable),
        "reasons": {
            server_id: visible(reason, _REASON_CHARACTERS)
            for server_id, reason in report.reasons.items()
        },
        "counts": {fault.value: count for fault, count in report.counts.items()},
        "findings": [
            {
                "fault": finding.fault.value,
                "key": visible(finding.key, _LONGEST_KEY),
                "servers": list(finding.servers),
                "owners": list(finding.owners),
            }
            for finding in report.findings
        ],
    }


def _finding(finding: Finding) -> str:
    on, owners = ", ".join(finding.servers), ", ".join(finding.owners)
    key = quoted(finding.key, _KEY_CHARACTERS)
    return f"{finding.fault.value}: {key} on {on}; belongs on {owners}"
