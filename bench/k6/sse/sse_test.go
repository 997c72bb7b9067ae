package sse

import (
	"reflect"
	"strings"
	"testing"
)

func collect(t *testing.T, stream string, limit int) ([]string, error) {
	t.Helper()
	events := []string{}
	err := readEvents(strings.NewReader(stream), func(data string) bool {
		events = append(events, data)
		return limit == 0 || len(events) < limit
	})
	return events, err
}

func TestReadEvents(t *testing.T) {
	cases := []struct {
		name   string
		stream string
		limit  int
		want   []string
		fault  string
	}{
		{"two events", "data: a\n\ndata: b\n\n", 0, []string{"a", "b"}, ""},
		{"carriage returns", "data: a\r\n\r\n", 0, []string{"a"}, ""},
		{"comments and other fields", ": hi\n\nevent: x\nid: 1\ndata: a\n\n", 0, []string{"a"}, ""},
		{"several data lines", "data: a\ndata:b\n\n", 0, []string{"a\nb"}, ""},
		{"left after one", "data: a\n\ndata: b\n\n", 1, []string{"a"}, ""},
		{"an event that is not ended", "data: a\n\ndata: b", 0, []string{"a"}, "inside an event"},
		{"a line that never ends", "data: " + strings.Repeat("x", maxEventBytes+1), 0, []string{}, "broke off"},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			events, err := collect(t, test.stream, test.limit)
			if !reflect.DeepEqual(events, test.want) {
				t.Errorf("events %q instead of %q", events, test.want)
			}
			if (err == nil) != (test.fault == "") || (err != nil && !strings.Contains(err.Error(), test.fault)) {
				t.Errorf("error %v instead of %q", err, test.fault)
			}
		})
	}
}
