// Mesh joins a node to an overlay whose members find each other: it is told one of them, and learns of all others by
// gossip. The gossip is Weave's own library; what carries packets is the kernel's VXLAN, as in Weave's fast data path.
//
// It owns the flooding entries of one VXLAN device, one for each member it has a connection with, and a file that says
// whom it knows. The device itself is made by others.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weaveworks/mesh"
)

const (
	// What a member says of itself when it also carries packets.
	carries = "VXLAN"
	// To a device's flooding entries goes whatever it has no better entry for.
	everybody = "00:00:00:00:00:00"
	// How often the file is compared with what is known.
	looksEvery = 100 * time.Millisecond
)

func main() {
	name := flag.String("name", "", "this member's name: a hardware address")
	nickname := flag.String("nickname", "", "this member's name for people")
	address := flag.String("address", "", "this member's address")
	known := flag.String("known", "", "address of a member that is known; empty for the first one")
	device := flag.String("device", "", "the VXLAN device; empty for a member that only gossips")
	file := flag.String("file", "", "where to write whom it knows, as JSON")
	flag.Parse()
	peer, err := mesh.PeerNameFromString(*name)
	if err != nil {
		log.Fatalf("-name %q: %v", *name, err)
	}
	configuration := mesh.Config{
		Host:               *address,
		Port:               mesh.Port,
		ProtocolMinVersion: mesh.ProtocolMinVersion,
		ConnLimit:          64,
		PeerDiscovery:      true,
	}
	overlay := &vxlan{device: *device}
	logger := log.New(os.Stderr, "", log.LstdFlags)
	router, err := mesh.NewRouter(configuration, peer, *nickname, overlay, logger)
	if err != nil {
		log.Fatalf("join the mesh: %v", err)
	}
	router.Start()
	told := []string{}
	if *known != "" {
		told = append(told, *known)
		await(net.JoinHostPort(*known, fmt.Sprint(mesh.Port)))
		router.ConnectionMaker.InitiateConnections(told, true)
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	tell(router, overlay, *file, told, asked)
}

// Await returns when somebody listens there: refused once, the library would ask again after two seconds.
func await(address string) {
	for {
		connection, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			connection.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Member is what the file says of each peer: its name for people, and with whom it is connected.
type member struct {
	Name string   `json:"name"`
	With []string `json:"with"`
}

// Picture is the content of the file: whom it was told, who is in the mesh, as gossip has it, and to which addresses
// packets go.
type picture struct {
	Told    []string `json:"told"`
	Members []member `json:"members"`
	Wires   []string `json:"wires"`
}

// Tell keeps the file as things are, until the program is asked to end.
func tell(router *mesh.Router, overlay *vxlan, file string, told []string, asked <-chan os.Signal) {
	written := ""
	ticks := time.NewTicker(looksEvery)
	for {
		if now := look(router, overlay, told); file != "" && now != written {
			draft := file + ".draft"
			if err := os.WriteFile(draft, []byte(now), 0o644); err != nil {
				log.Fatal(err)
			}
			if err := os.Rename(draft, file); err != nil {
				log.Fatal(err)
			}
			written = now
		}
		select {
		case <-ticks.C:
		case <-asked:
			return
		}
	}
}

func look(router *mesh.Router, overlay *vxlan, told []string) string {
	seen := picture{Told: told, Members: []member{}, Wires: overlay.wires()}
	for _, peer := range mesh.NewStatus(router).Peers {
		each := member{Name: peer.NickName, With: []string{}}
		for _, connection := range peer.Connections {
			if connection.Established {
				each.With = append(each.With, connection.NickName)
			}
		}
		slices.Sort(each.With)
		seen.Members = append(seen.Members, each)
	}
	slices.SortFunc(seen.Members, func(a, b member) int { return strings.Compare(a.Name, b.Name) })
	text, err := json.MarshalIndent(seen, "", "  ")
	if err != nil {
		log.Fatal(err)
	}
	return string(text) + "\n"
}

// Vxlan gives each connection of the mesh a wire: an entry of the device that leads to the other member.
type vxlan struct {
	device string
	lock   sync.Mutex
	up     map[string]bool
}

func (overlay *vxlan) AddFeaturesTo(features map[string]string) {
	if overlay.device != "" {
		features[carries] = "yes"
	}
}

func (overlay *vxlan) PrepareConnection(with mesh.OverlayConnectionParams) (mesh.OverlayConnection, error) {
	if overlay.device == "" || with.Features[carries] == "" {
		return mesh.NullOverlay{}, nil
	}
	return &wire{overlay: overlay, to: with.RemoteAddr.IP.String(), established: make(chan struct{})}, nil
}

func (overlay *vxlan) Diagnostics() interface{} { return overlay.wires() }

func (overlay *vxlan) Stop() {}

func (overlay *vxlan) set(to string, up bool) error {
	overlay.lock.Lock()
	defer overlay.lock.Unlock()
	if overlay.up == nil {
		overlay.up = map[string]bool{}
	}
	if overlay.up[to] == up {
		return nil
	}
	verb := map[bool]string{true: "append", false: "delete"}[up]
	said, err := exec.Command("bridge", "fdb", verb, everybody, "dev", overlay.device, "dst", to).CombinedOutput()
	if err != nil {
		log.Printf("bridge fdb %s … dst %s: %v: %s", verb, to, err, said)
		return err
	}
	overlay.up[to] = up
	return nil
}

func (overlay *vxlan) wires() []string {
	overlay.lock.Lock()
	defer overlay.lock.Unlock()
	found := []string{}
	for to, up := range overlay.up {
		if up {
			found = append(found, to)
		}
	}
	slices.Sort(found)
	return found
}

// Wire is one connection's part of the overlay: down until it is confirmed, and gone with the connection.
type wire struct {
	mesh.NullOverlay
	overlay     *vxlan
	to          string
	confirmed   bool
	established chan struct{}
}

func (wire *wire) Confirm() {
	if err := wire.overlay.set(wire.to, true); err == nil {
		wire.confirmed = true
		close(wire.established)
	}
}

func (wire *wire) EstablishedChannel() <-chan struct{} { return wire.established }

func (wire *wire) Stop() {
	if wire.confirmed {
		_ = wire.overlay.set(wire.to, false)
	}
}

func (wire *wire) Attrs() map[string]interface{} {
	return map[string]interface{}{"name": carries, "to": wire.to}
}
