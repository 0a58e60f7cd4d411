package cli

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	tests := []struct {
		in   string
		want time.Duration // -1: an error
	}{
		{"90", 90 * time.Second},
		{"1m30s", 90 * time.Second},
		{"500ms", 500 * time.Millisecond},
		{"1h", time.Hour},
		{"1.5", 1500 * time.Millisecond},
		{".5s", 500 * time.Millisecond},
		{"1e3", 1000 * time.Second},
		{"1ns", 1},
		{"0", 0},
		{"0s", 0},
		{"-0", 0},
		{"+5", 5 * time.Second},
		{"9223372036", 9223372036 * time.Second},
		{"9223372037", -1},
		{"1e30", -1},
		{"-1", -1},
		{"-1s", -1},
		{"-1e30", -1},
		{"NaN", -1},
		{"Inf", -1},
		{"-Inf", -1},
		{"", -1},
		{" 5", -1},
		{"5 s", -1},
		{"5d", -1},
		{"five", -1},
		{"9999999h", -1},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			d, err := Duration(tt.in)
			switch {
			case tt.want < 0 && err == nil:
				t.Errorf("parsed as %v", d)
			case tt.want >= 0 && (err != nil || d != tt.want):
				t.Errorf("got %v, %v, want %v", d, err, tt.want)
			}
		})
	}
}
