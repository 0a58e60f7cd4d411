// Empty does nothing: what it takes is Go's.
package main

func main() {}
