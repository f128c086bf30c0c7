// Package ics reads iCalendar files (RFC 5545) for the times that their events take: an exchange's sessions or holidays, planned outages.
//
// [Parse] reads VEVENTs with DTSTART and DTEND or DURATION, as dates, UTC, floating or in an IANA time zone, with RRULE, RDATE, EXDATE and
// RECURRENCE-ID; events whose STATUS is CANCELLED are none. What would change times and is not understood is refused with its place. To-dos,
// alarms, and whether an event is transparent play no part.
//
// Repetitions are laid out when the file is read, up to the year 2100. What a [Calendar] says then depends on its arguments alone; it opens
// nothing, and no input makes it panic or hang.
package ics
