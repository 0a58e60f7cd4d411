package supervisor

import (
	"encoding/json"
	"testing"

	"github.com/seed-c1490a04/supervise/protocol"
)

func TestNewExit(t *testing.T) {
	tests := []struct {
		name string
		e    *protocol.Event
		want string
	}{
		{"none", nil, `null`},
		{"0", protocol.NewEvent(protocol.Exited, 1, 0, 0), `{"code":0,"signal":null,"core":false}`},
		{"255", protocol.NewEvent(protocol.Exited, 1, 0, 255), `{"code":255,"signal":null,"core":false}`},
		{"killed", protocol.NewEvent(protocol.Killed, 1, 0, 9), `{"code":null,"signal":"SIGKILL","core":false}`},
		{"dumped", protocol.NewEvent(protocol.Dumped, 1, 0, 11), `{"code":null,"signal":"SIGSEGV","core":true}`},
		{"real-time", protocol.NewEvent(protocol.Killed, 1, 0, 40), `{"code":null,"signal":"SIGRTMIN+6","core":false}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if b, err := json.Marshal(NewExit(tt.e)); err != nil || string(b) != tt.want {
				t.Errorf("got %s, %v, want %s", b, err, tt.want)
			}
		})
	}
}
