package ics

// Codes of findings, stable as in docs/diagnostics.md.
const (
	codeSize        = "file-size"
	codeSyntax      = "calendar-syntax"
	codeEvent       = "calendar-event"
	codeZone        = "calendar-time-zone"
	codeRule        = "calendar-rule"
	codeUnsupported = "calendar-unsupported"
)

// Codes documents the package's codes, for docs/diagnostics.md: each with its severities and what it means.
var Codes = [][3]string{
	{codeSyntax, "error", "a line of an iCalendar file, or the nesting of its components, is not what RFC 5545 has"},
	{codeEvent, "error, warning", "an event whose times make no sense"},
	{codeZone, "error", "a time zone that is no IANA name"},
	{codeRule, "error", "a rule of repetition that is not valid, or that yields too much"},
	{codeUnsupported, "error", "something that would change the times of an event and is not understood"},
}
