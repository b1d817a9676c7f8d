package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// direct is controller-runtime's client, without a cache.
type direct struct {
	*asked
	api client.Client
}

func controllerRuntime(a *asked) {
	log.SetLogger(logr.Discard())
	api, err := client.New(a.config, client.Options{Scheme: scheme.Scheme})
	must(err)
	d := &direct{a, api}
	d.objects()
	d.collections()
	d.changes()
	d.customs()
	d.controlled()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: a.namespace}}
	must(api.Delete(ctx, namespace))
	missing := fmt.Sprintf(`NotFound: namespaces "%s" not found`, a.namespace)
	d.step("delete the Namespace", func() (string, error) {
		return until(func() (string, error) { return "there", api.Get(ctx, client.ObjectKeyFromObject(namespace), namespace) }, missing)
	})
}

func (d *direct) key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: d.namespace, Name: name}
}

func (d *direct) get(name string) func() (string, error) {
	return func() (string, error) {
		found := &corev1.ConfigMap{}
		err := d.api.Get(ctx, d.key(name), found)
		return data(found.Data), err
	}
}

func (d *direct) create(found *corev1.ConfigMap, options ...client.CreateOption) func() (string, error) {
	return func() (string, error) {
		err := d.api.Create(ctx, found, options...)
		return data(found.Data), err
	}
}

func (d *direct) objects() {
	d.step("create a Namespace", func() (string, error) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: d.namespace}}
		err := d.api.Create(ctx, namespace)
		return string(namespace.Status.Phase), err
	})
	d.step("create a ConfigMap", d.create(d.labelled("one", "1", nil)))
	d.step("create one that is there", d.create(d.labelled("one", "1", nil)))
	d.step("create with `generateName`", func() (string, error) {
		unnamed := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "made-", Namespace: d.namespace}}
		err := d.api.Create(ctx, unnamed)
		return made(unnamed.Name), err
	})
	d.step("create, dry run", d.create(d.labelled("dry", "1", nil), client.DryRunAll))
	d.step("get what a dry run has created", d.get("dry"))
	d.step("get", d.get("one"))
	d.step("get what is missing", d.get("nothing"))
}

func (d *direct) list(options ...client.ListOption) (string, error) {
	found := &corev1.ConfigMapList{}
	if err := d.api.List(ctx, found, append(options, client.InNamespace(d.namespace))...); err != nil {
		return "", err
	}
	listed := []string{}
	for _, each := range found.Items {
		listed = append(listed, each.Name)
	}
	return names(listed), nil
}

func (d *direct) collections() {
	for name, side := range map[string]string{"a": "left", "b": "left", "c": "right"} {
		must(d.api.Create(ctx, d.labelled(name, "1", map[string]string{"side": side, "of": "three"})))
	}
	d.step("list by label", func() (string, error) { return d.list(client.MatchingLabels{"side": "left"}) })
	d.step("list by field", func() (string, error) { return d.list(client.MatchingFields{"metadata.name": "one"}) })
	d.step("list metadata alone", func() (string, error) {
		found := &metav1.PartialObjectMetadataList{}
		found.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMapList"})
		must(d.api.List(ctx, found, client.InNamespace(d.namespace), client.MatchingLabels{"of": "three"}))
		listed := []string{}
		for _, each := range found.Items {
			listed = append(listed, each.Name)
		}
		return names(listed), nil
	})
	d.step("delete a collection by label", func() (string, error) {
		must(d.api.DeleteAllOf(ctx, &corev1.ConfigMap{}, client.InNamespace(d.namespace), client.MatchingLabels{"side": "left"}))
		return d.list(client.MatchingLabels{"of": "three"})
	})
}

func (d *direct) changes() {
	stale := &corev1.ConfigMap{}
	must(d.api.Get(ctx, d.key("one"), stale))
	update := func(changed *corev1.ConfigMap) func() (string, error) {
		return func() (string, error) {
			err := d.api.Update(ctx, changed)
			return data(changed.Data), err
		}
	}
	d.step("update", update(d.labelled("one", "2", nil)))
	stale.Data["size"] = "3"
	d.step("update of an old version", update(stale))
	d.step("patch (merge) of an old version", func() (string, error) {
		found, lock := &corev1.ConfigMap{}, client.MergeFromWithOptimisticLock{}
		must(d.api.Get(ctx, d.key("one"), found))
		before := found.DeepCopy()
		found.Data["more"] = "yes"
		must(d.api.Patch(ctx, found, client.MergeFromWithOptions(before, lock)))
		late := before.DeepCopy()
		late.Data["more"] = "no"
		return "", d.api.Patch(ctx, late, client.MergeFromWithOptions(before, lock))
	})
	web := d.deployment("web")
	must(d.api.Create(ctx, web))
	d.step("patch, strategic merge, of a list of containers", func() (string, error) {
		before := web.DeepCopy()
		side := corev1.Container{Name: "side", Image: image}
		web.Spec.Template.Spec.Containers = append(web.Spec.Template.Spec.Containers, side)
		err := d.api.Patch(ctx, web, client.StrategicMergeFrom(before))
		return containers(web), err
	})
	d.step("create or update", func() (string, error) {
		seen := []string{}
		for _, size := range []string{"1", "1", "2"} {
			made := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "either", Namespace: d.namespace}}
			did, err := controllerutil.CreateOrUpdate(ctx, d.api, made, func() error {
				made.Data = map[string]string{"size": size}
				return nil
			})
			must(err)
			seen = append(seen, string(did))
		}
		return strings.Join(seen, ", "), nil
	})
	must(d.api.Delete(ctx, d.labelled("one", "", nil)))
	apply := func(size string, options ...client.ApplyOption) func() (string, error) {
		return func() (string, error) {
			wanted := coreapply.ConfigMap("one", d.namespace).WithData(map[string]string{"size": size})
			if err := d.api.Apply(ctx, wanted, options...); err != nil {
				return "", err
			}
			found := &corev1.ConfigMap{}
			must(d.api.Get(ctx, d.key("one"), found))
			return owner(found), nil
		}
	}
	d.step("apply (server-side)", apply("1", client.FieldOwner("first")))
	d.step("apply what another manager owns", apply("2", client.FieldOwner("second")))
	d.step("apply by force", apply("2", client.FieldOwner("second"), client.ForceOwnership))
}

func (d *direct) customs() {
	group := d.namespace + ".example.com"
	definition := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1",
		"kind":       "CustomResourceDefinition",
		"metadata":   map[string]any{"name": "boxes." + group},
		"spec": map[string]any{
			"group": group,
			"scope": "Namespaced",
			"names": map[string]any{"plural": "boxes", "singular": "box", "kind": "Box", "listKind": "BoxList"},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true, "subresources": map[string]any{"status": map[string]any{}},
				"schema": map[string]any{"openAPIV3Schema": map[string]any{
					"type": "object",
					"properties": map[string]any{
						"spec": map[string]any{"type": "object", "properties": map[string]any{
							"size": map[string]any{"type": "integer", "maximum": int64(5)},
						}},
						"status": map[string]any{"type": "object", "properties": map[string]any{
							"phase": map[string]any{"type": "string"},
						}},
					},
				}},
			}},
		},
	}}
	must(d.api.Create(ctx, definition))
	box := func(name string, size int64) *unstructured.Unstructured {
		found := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"size": size}}}
		found.SetAPIVersion(group + "/v1")
		found.SetKind("Box")
		found.SetName(name)
		found.SetNamespace(d.namespace)
		return found
	}
	d.step("define a kind", func() (string, error) {
		return until(func() (string, error) {
			err := d.api.Get(ctx, client.ObjectKeyFromObject(definition), definition)
			conditions, _, _ := unstructured.NestedSlice(definition.Object, "status", "conditions")
			for _, each := range conditions {
				if found := each.(map[string]any); found["type"] == "Established" && found["status"] == "True" {
					return "Established", err
				}
			}
			return "not yet", err
		}, "Established")
	})
	mine := box("mine", 1)
	deadline := time.Now().Add(patient)
	for err := d.api.Create(ctx, mine); err != nil; err = d.api.Create(ctx, mine) { // until its kind is discovered
		if time.Now().After(deadline) {
			panic(err)
		}
		time.Sleep(200 * time.Millisecond)
	}
	d.step("create one that its schema forbids", func() (string, error) { return "", d.api.Create(ctx, box("bad", 9)) })
	d.step("patch its status, which leaves its spec", func() (string, error) {
		before := mine.DeepCopy()
		must(unstructured.SetNestedField(mine.Object, "Ready", "status", "phase"))
		must(unstructured.SetNestedField(mine.Object, int64(2), "spec", "size"))
		must(d.api.Status().Patch(ctx, mine, client.MergeFrom(before)))
		must(d.api.Get(ctx, d.key("mine"), mine))
		phase, _, _ := unstructured.NestedString(mine.Object, "status", "phase")
		size, _, _ := unstructured.NestedInt64(mine.Object, "spec", "size")
		return fmt.Sprintf("%s, size %d", phase, size), nil
	})
	must(d.api.Delete(ctx, definition))
	d.step("delete the kind", func() (string, error) {
		_, err := until(func() (string, error) {
			return "there", d.api.Get(ctx, client.ObjectKeyFromObject(definition), definition)
		}, fmt.Sprintf(`NotFound: customresourcedefinitions.apiextensions.k8s.io "boxes.%s" not found`, group))
		return "gone", err
	})
}

// controlled runs a manager that leads, and a controller with a cache that keeps a ConfigMap for each that has a label.
func (d *direct) controlled() {
	mgr, err := ctrl.NewManager(d.config, ctrl.Options{
		Scheme:                  scheme.Scheme,
		Metrics:                 server.Options{BindAddress: "0"},
		Cache:                   cache.Options{DefaultNamespaces: map[string]cache.Config{d.namespace: {}}},
		LeaderElection:          true,
		LeaderElectionID:        "leader",
		LeaderElectionNamespace: d.namespace,
	})
	must(err)
	keep := reconcile.Func(func(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
		deployment := &appsv1.Deployment{}
		if err := mgr.GetClient().Get(ctx, request.NamespacedName, deployment); err != nil {
			return reconcile.Result{}, client.IgnoreNotFound(err)
		}
		kept := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "of-" + deployment.Name, Namespace: d.namespace}}
		_, err := controllerutil.CreateOrPatch(ctx, mgr.GetClient(), kept, func() error {
			kept.Data = map[string]string{"replicas": fmt.Sprint(*deployment.Spec.Replicas)}
			return controllerutil.SetControllerReference(deployment, kept, scheme.Scheme)
		})
		return reconcile.Result{}, err
	})
	must(ctrl.NewControllerManagedBy(mgr).For(&appsv1.Deployment{}).Owns(&corev1.ConfigMap{}).Complete(keep))
	managed, end := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- mgr.Start(managed) }()
	d.step("lead by a Lease", func() (string, error) {
		select {
		case <-mgr.Elected():
			return "elected", nil
		case <-time.After(patient):
			return "not elected", nil
		}
	})
	d.step("reconcile what a controller owns", func() (string, error) { return until(d.get("of-web"), "replicas=0") })
	must(d.api.Delete(ctx, d.labelled("of-web", "", nil)))
	d.step("reconcile it when somebody has deleted it", func() (string, error) { return until(d.get("of-web"), "replicas=0") })
	d.step("collect it with its owner", func() (string, error) {
		must(client.IgnoreNotFound(d.api.Delete(ctx, d.deployment("web"))))
		_, err := until(d.get("of-web"), `NotFound: configmaps "of-web" not found`)
		return "gone", err
	})
	end()
	if err := <-ended; err != nil && !apierrors.IsNotFound(err) {
		panic(err)
	}
}

func read(address string) (string, error) {
	connection, err := net.Dial("tcp", address)
	must(err)
	defer connection.Close()
	said, err := io.ReadAll(connection)
	return string(said), err
}
