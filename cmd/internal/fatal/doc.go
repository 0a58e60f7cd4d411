// Package fatal is the orderly end of a program whose Go runtime cannot go on: where the
// limits around it leave no memory, no thread or no descriptor, the runtime says so,
// prints the stacks of all goroutines and exits with 2. A program that imports this
// package says in one line what is short and what to do about it, and exits with 125.
//
// That may be before the first line of Go runs, and no Go code may run after it. So the
// runtime's own functions exit and write1 are replaced (fatal_*.s): what the runtime says
// about its end is kept, and at the exit last looks at it. What tells of a fault of the
// program is printed whole; what the runtime says in other words, of most panics or a signal,
// is not even kept. On riscv64 the package does nothing: there the two are called by a
// convention that only the runtime's own assembly can have.
//
// By supervise's binary protocol the children are the job from the beginning, before
// there is a guardian: they are ended then.
package fatal
