// Slow-link hands HTTP requests on to a registry and takes its time over every blob, so that one can see how many an
// engine asks for at once. It prints one line of JSON for each request, when that has been answered.
package main

import (
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

type answered struct {
	Method string  `json:"method"`
	Path   string  `json:"path"`
	Query  string  `json:"query"`
	Start  float64 `json:"start"`
	End    float64 `json:"end"`
}

func main() {
	to := flag.String("to", "", "the registry's URL")
	listen := flag.String("listen", ":5001", "address to listen on")
	delay := flag.Duration("delay", 300*time.Millisecond, "how long each blob waits")
	flag.Parse()
	registry, err := url.Parse(*to)
	if err != nil || registry.Host == "" {
		log.Fatalf("-to %q is no URL such as http://127.0.0.1:5000", *to)
	}
	proxy := httputil.NewSingleHostReverseProxy(registry)
	began := time.Now()
	var alone sync.Mutex
	lines := json.NewEncoder(os.Stdout)
	log.Fatal(http.ListenAndServe(*listen, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Since(began).Seconds()
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			time.Sleep(*delay)
		}
		proxy.ServeHTTP(w, r)
		alone.Lock()
		defer alone.Unlock()
		_ = lines.Encode(answered{r.Method, r.URL.Path, r.URL.RawQuery, start, time.Since(began).Seconds()})
	})))
}
