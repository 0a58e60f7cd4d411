package testbed

import (
	"testing"
	"time"
)

// Eventually asks again and again for what gives no event, for as long as patience lasts; then the test
// has failed, and goes on.
func Eventually(t testing.TB, patience time.Duration, what string, try func() error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Errorf("%s: %v", what, err)
			return
		}
	}
}
