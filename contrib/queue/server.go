package main

import (
	"errors"
	"fmt"
	"log"
	"net/url"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// A Server is one of NATS with JetStream, in this program: alone, or of a cluster.
type Server struct {
	Name     string
	Port     int // -1: any
	StoreDir string
	// Of a cluster.
	ClusterPort int
	Routes      []string // nats://HOST:PORT of the others' cluster ports
}

// start starts it, and returns when it answers clients.
func (s *Server) start() (*server.Server, error) {
	o := &server.Options{ServerName: s.Name, Host: "127.0.0.1", Port: s.Port, JetStream: true, StoreDir: s.StoreDir, NoSigs: true}
	if len(s.Routes) > 0 {
		o.Cluster = server.ClusterOpts{Name: "queue", Host: "127.0.0.1", Port: s.ClusterPort}
		for _, route := range s.Routes {
			u, err := url.Parse(route)
			if err != nil {
				return nil, fmt.Errorf("route: %w", err)
			}
			o.Routes = append(o.Routes, u)
		}
	}
	ns, err := server.NewServer(o)
	if err != nil {
		return nil, err
	}
	ns.SetLogger(complaints{}, false, false)
	ns.Start()
	if !ns.ReadyForConnections(30 * time.Second) {
		ns.Shutdown()
		return nil, errors.New("the server is not ready after 30 s: is its port in use?")
	}
	return ns, nil
}

// complaints is what a server says, without what goes well.
type complaints struct{}

func (complaints) Noticef(string, ...any)            {}
func (complaints) Debugf(string, ...any)             {}
func (complaints) Tracef(string, ...any)             {}
func (complaints) Warnf(format string, args ...any)  { log.Printf("server: "+format, args...) }
func (complaints) Errorf(format string, args ...any) { log.Printf("server: "+format, args...) }
func (complaints) Fatalf(format string, args ...any) { log.Fatalf("server: "+format, args...) }
