package wall

import (
	"testing"
	"time"
	_ "time/tzdata"
)

func TestChangesOfClocks(t *testing.T) {
	tests := []struct {
		zone, face            string
		first, last, calendar string
	}{
		{"Europe/London", "2026-03-29 00:30:00", "00:30 +0000", "00:30 +0000", "00:30 +0000"},
		{"Europe/London", "2026-03-29 01:30:00", "02:00 +0100", "02:00 +0100", "02:30 +0100"},
		{"Europe/London", "2026-10-25 01:30:00", "01:30 +0100", "01:30 +0000", "01:30 +0100"},
		{"America/New_York", "2026-03-08 02:30:00", "03:00 -0400", "03:00 -0400", "03:30 -0400"},
		{"America/New_York", "2026-11-01 01:00:00", "01:00 -0400", "01:00 -0500", "01:00 -0400"},
		{"America/New_York", "2026-11-01 02:00:00", "02:00 -0500", "02:00 -0500", "02:00 -0500"},
		{"Australia/Lord_Howe", "2026-10-04 02:15:00", "02:30 +1100", "02:30 +1100", "02:45 +1100"},
		{"Australia/Lord_Howe", "2026-04-05 01:45:00", "01:45 +1100", "01:45 +1030", "01:45 +1100"},
		{"Asia/Kolkata", "2026-03-29 01:30:00", "01:30 +0530", "01:30 +0530", "01:30 +0530"},
		{"UTC", "2026-03-29 01:30:00", "01:30 +0000", "01:30 +0000", "01:30 +0000"},
		// A day that Samoa left out.
		{"Pacific/Apia", "2011-12-30 12:00:00", "00:00 +1400", "00:00 +1400", "12:00 +1400"},
	}
	for _, tt := range tests {
		t.Run(tt.zone+" "+tt.face, func(t *testing.T) {
			loc, err := time.LoadLocation(tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			face, err := time.Parse(time.DateTime, tt.face)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				name string
				got  time.Time
				want string
			}{{"First", First(face, loc), tt.first}, {"Last", Last(face, loc), tt.last}, {"Calendar", Calendar(face, loc), tt.calendar}} {
				if s := c.got.In(loc).Format("15:04 -0700"); s != c.want {
					t.Errorf("%s: got %s, want %s", c.name, s, c.want)
				}
			}
		})
	}
}
