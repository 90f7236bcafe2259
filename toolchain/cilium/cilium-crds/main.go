// cilium-crds makes the kinds of objects that cilium-agent waits for, as Cilium's operator would: `cilium-crds make`.
// `cilium-crds remove` removes them, and with them every object of these kinds. Either is done when it returns;
// KUBECONFIG says where. What the kinds look like is Cilium's own: its client package carries them.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/cilium/cilium/pkg/k8s/apis/cilium.io/client"
	"golang.org/x/sync/errgroup"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
)

type definition = v1.CustomResourceDefinition

const every, atMost = 50 * time.Millisecond, 30 * time.Second

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
	config.QPS = 100
	server, err := apiextensions.NewForConfig(config)
	if err != nil {
		return err
	}
	do := remove
	if making {
		do = create
	}
	group, within := errgroup.WithContext(context.Background())
	for _, name := range awaited {
		kind := client.GetPregeneratedCRD(slog.Default(), name)
		group.Go(func() error { return do(within, server.CustomResourceDefinitions(), &kind) })
	}
	return group.Wait()
}

// One of that name may still be on its way out, with all objects of its kind.
func create(within context.Context, kinds apiextensions.CustomResourceDefinitionInterface, kind *definition) error {
	return wait.PollUntilContextTimeout(within, every, atMost, true, func(context.Context) (bool, error) {
		_, err := kinds.Create(within, kind, meta.CreateOptions{})
		if !errors.IsAlreadyExists(err) {
			return err == nil, err
		}
		found, err := kinds.Get(within, kind.Name, meta.GetOptions{})
		return err == nil && found.DeletionTimestamp == nil, nil
	})
}

func remove(within context.Context, kinds apiextensions.CustomResourceDefinitionInterface, kind *definition) error {
	return wait.PollUntilContextTimeout(within, every, atMost, true, func(context.Context) (bool, error) {
		err := kinds.Delete(within, kind.Name, meta.DeleteOptions{})
		if errors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
}
