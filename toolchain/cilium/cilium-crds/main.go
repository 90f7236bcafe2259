// cilium-crds makes the kinds of objects that cilium-agent waits for, as Cilium's operator would: `cilium-crds make`.
// `cilium-crds remove` removes them, and with them every object of these kinds. KUBECONFIG says where. What the kinds
// look like is Cilium's own: its client package carries them.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/cilium/cilium/pkg/k8s/apis/cilium.io/client"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// What an agent with the settings of this lab waits for: pkg/k8s/synced/crd.go of Cilium.
var awaited = []string{
	client.CNCRDName,
	client.CIDCRDName,
	client.CEPCRDName,
	client.CPIPCRDName,
	client.LBIPPoolCRDName,
	client.L2AnnouncementCRDName,
}

func main() {
	if len(os.Args) != 2 || (os.Args[1] != "make" && os.Args[1] != "remove") {
		fmt.Fprintln(os.Stderr, "usage: cilium-crds make|remove")
		os.Exit(2)
	}
	if err := run(os.Args[1] == "make"); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(making bool) error {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	server, err := apiextensions.NewForConfig(config)
	if err != nil {
		return err
	}
	kinds := server.CustomResourceDefinitions()
	for _, name := range awaited {
		kind := client.GetPregeneratedCRD(slog.Default(), name)
		if making {
			_, err = kinds.Create(context.Background(), &kind, meta.CreateOptions{})
		} else {
			err = kinds.Delete(context.Background(), kind.Name, meta.DeleteOptions{})
		}
		if err != nil && !errors.IsAlreadyExists(err) && !errors.IsNotFound(err) {
			return err
		}
	}
	return nil
}
