package resident

// GrowStack has the goroutine's stack grow once, while there is next to nothing on it. Else it
// grows in the depth of the start of a job, several times, and Go looks up each frame in tables
// that are not in memory yet. Fill is false: it is there for the compiler, which else would
// leave the room away.
//
//go:noinline
func GrowStack(fill bool) {
	if fill {
		var room [roomOnStack]byte
		fillRoom(&room)
	}
}

// roomOnStack is what a start needs at most; the stack is of the next power of two.
const roomOnStack = 24 << 10

//go:noinline
func fillRoom(room *[roomOnStack]byte) { room[0] = 1 }
