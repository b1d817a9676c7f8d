package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
)

// typed is client-go's clientset, which speaks protobuf.
type typed struct {
	*asked
	api  *kubernetes.Clientset
	maps corev1client.ConfigMapInterface
}

func clientGo(a *asked) {
	binary := rest.CopyConfig(a.config)
	binary.ContentType = "application/vnd.kubernetes.protobuf"
	api, err := kubernetes.NewForConfig(binary)
	must(err)
	t := &typed{a, api, api.CoreV1().ConfigMaps(a.namespace)}
	t.objects()
	t.collections()
	t.changes()
	t.deletions()
	t.rights()
	t.leases()
	t.kinds()
	t.workloads()
	t.pods()
	must(api.CoreV1().Namespaces().Delete(ctx, a.namespace, metav1.DeleteOptions{}))
	missing := fmt.Sprintf(`NotFound: namespaces "%s" not found`, a.namespace)
	t.step("delete the Namespace", func() (string, error) {
		return until(func() (string, error) {
			_, err := api.CoreV1().Namespaces().Get(ctx, a.namespace, metav1.GetOptions{})
			return "there", err
		}, missing)
	})
}

func (t *typed) create(found *corev1.ConfigMap, options metav1.CreateOptions) func() (string, error) {
	return func() (string, error) {
		answer, err := t.maps.Create(ctx, found, options)
		if err != nil {
			return "", err
		}
		return data(answer.Data), nil
	}
}

func (t *typed) get(name string) func() (string, error) {
	return func() (string, error) {
		found, err := t.maps.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return "", err
		}
		return data(found.Data), nil
	}
}

func (t *typed) objects() {
	plain := metav1.CreateOptions{}
	t.step("create a Namespace", func() (string, error) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: t.namespace}}
		found, err := t.api.CoreV1().Namespaces().Create(ctx, namespace, plain)
		return string(found.Status.Phase), err
	})
	_, _ = until(func() (string, error) {
		found, err := t.api.CoreV1().ServiceAccounts(t.namespace).Get(ctx, "default", metav1.GetOptions{})
		return found.Name, err
	}, "default")
	t.step("create a ConfigMap", t.create(config("one", "1"), plain))
	t.step("create one that is there", t.create(config("one", "1"), plain))
	t.step("create with `generateName`", func() (string, error) {
		unnamed := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "made-"}}
		found, err := t.maps.Create(ctx, unnamed, plain)
		return made(found.Name), err
	})
	t.step("create, dry run", t.create(config("dry", "1"), metav1.CreateOptions{DryRun: []string{"All"}}))
	t.step("get what a dry run has created", t.get("dry"))
	t.step("create an invalid Service", func() (string, error) {
		bad := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: "bad"},
			Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "bad"}},
		}
		_, err := t.api.CoreV1().Services(t.namespace).Create(ctx, bad, plain)
		return "", err
	})
	t.step("get", t.get("one"))
	t.step("get what is missing", t.get("nothing"))
}

func (t *typed) list(options metav1.ListOptions) (string, error) {
	found, err := t.maps.List(ctx, options)
	if err != nil {
		return "", err
	}
	listed := []string{}
	for _, each := range found.Items {
		listed = append(listed, each.Name)
	}
	return names(listed), nil
}

func (t *typed) collections() {
	for name, side := range map[string]string{"a": "left", "b": "left", "c": "right"} {
		_, err := t.create(t.labelled(name, "1", map[string]string{"side": side, "of": "three"}), metav1.CreateOptions{})()
		must(err)
	}
	t.step("list by label", func() (string, error) { return t.list(metav1.ListOptions{LabelSelector: "side=left"}) })
	t.step("list by a set of labels", func() (string, error) {
		return t.list(metav1.ListOptions{LabelSelector: "side in (left, right), side notin (left)"})
	})
	t.step("list by field", func() (string, error) { return t.list(metav1.ListOptions{FieldSelector: "metadata.name=one"}) })
	t.step("list in pages of two", t.pages)
	t.step("watch", t.watched)
	t.step("watch with `sendInitialEvents`", t.initial)
	t.step("hear of a change from an informer", t.informed)
	t.step("delete a collection by label", func() (string, error) {
		must(t.maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "side=left"}))
		return t.list(metav1.ListOptions{LabelSelector: "of=three"})
	})
}

func (t *typed) pages() (string, error) {
	listed, options := []string{}, metav1.ListOptions{LabelSelector: "of=three", Limit: 2}
	for {
		page, err := t.maps.List(ctx, options)
		must(err)
		for _, each := range page.Items {
			listed = append(listed, each.Name)
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return names(listed), nil
		}
	}
}

func (t *typed) watched() (string, error) {
	before, err := t.maps.List(ctx, metav1.ListOptions{})
	must(err)
	t.changed("seen")
	return t.events(metav1.ListOptions{LabelSelector: "of=seen", ResourceVersion: before.ResourceVersion}, watch.Deleted)
}

// changed makes, changes and deletes a ConfigMap.
func (t *typed) changed(name string) {
	_, err := t.create(t.labelled(name, "1", map[string]string{"of": name}), metav1.CreateOptions{})()
	must(err)
	_, err = t.maps.Patch(ctx, name, types.MergePatchType, []byte(`{"data":{"size":"2"}}`), metav1.PatchOptions{})
	must(err)
	must(t.maps.Delete(ctx, name, metav1.DeleteOptions{}))
}

func (t *typed) initial() (string, error) {
	yes := true
	return t.events(metav1.ListOptions{
		LabelSelector:        "of=three",
		SendInitialEvents:    &yes,
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
		AllowWatchBookmarks:  true,
	}, watch.Bookmark)
}

func (t *typed) events(options metav1.ListOptions, last watch.EventType) (string, error) {
	watching, err := t.maps.Watch(ctx, options)
	must(err)
	defer watching.Stop()
	seen := []string{}
	for event := range watching.ResultChan() {
		seen = append(seen, string(event.Type))
		if event.Type == last {
			break
		}
	}
	return strings.Join(seen, ", "), nil
}

func (t *typed) informed() (string, error) {
	factory := informers.NewSharedInformerFactoryWithOptions(
		t.api, 0, informers.WithNamespace(t.namespace),
		informers.WithTweakListOptions(func(options *metav1.ListOptions) { options.LabelSelector = "of=heard" }),
	)
	heard, stop := make(chan string, 10), make(chan struct{})
	defer close(stop)
	informer := factory.Core().V1().ConfigMaps().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { heard <- "added" },
		UpdateFunc: func(any, any) { heard <- "updated" },
		DeleteFunc: func(any) { heard <- "deleted" },
	})
	must(err)
	factory.Start(stop)
	factory.WaitForCacheSync(stop)
	t.changed("heard")
	seen := []string{}
	for len(seen) < 3 {
		select {
		case one := <-heard:
			seen = append(seen, one)
		case <-time.After(patient):
			return strings.Join(append(seen, "no more"), ", "), nil
		}
	}
	return strings.Join(seen, ", "), nil
}

func (t *typed) changes() {
	stale, err := t.maps.Get(ctx, "one", metav1.GetOptions{})
	must(err)
	update := func(changed *corev1.ConfigMap) func() (string, error) {
		return func() (string, error) {
			found, err := t.maps.Update(ctx, changed, metav1.UpdateOptions{})
			return data(found.Data), err
		}
	}
	t.step("update", update(config("one", "2")))
	stale.Data["size"] = "3"
	t.step("update of an old version", update(stale))
	patch := func(kind types.PatchType, body string) func() (string, error) {
		return func() (string, error) {
			found, err := t.maps.Patch(ctx, "one", kind, []byte(body), metav1.PatchOptions{})
			return data(found.Data), err
		}
	}
	t.step("patch, JSON", patch(types.JSONPatchType, `[{"op":"add","path":"/data/json","value":"yes"}]`))
	t.step("patch, merge", patch(types.MergePatchType, `{"data":{"json":null}}`))
	deployments := t.api.AppsV1().Deployments(t.namespace)
	_, err = deployments.Create(ctx, t.deployment("web"), metav1.CreateOptions{})
	must(err)
	t.step("patch, strategic merge, of a list of containers", func() (string, error) {
		body := `{"spec":{"template":{"spec":{"containers":[{"name":"side",%s}]}}}}`
		strategic := types.StrategicMergePatchType
		added := fmt.Sprintf(body, `"image":"`+image+`"`)
		found, err := deployments.Patch(ctx, "web", strategic, []byte(added), metav1.PatchOptions{})
		must(err)
		taken := fmt.Sprintf(body, `"$patch":"delete"`)
		_, err = deployments.Patch(ctx, "web", strategic, []byte(taken), metav1.PatchOptions{})
		return containers(found), err
	})
	must(t.maps.Delete(ctx, "one", metav1.DeleteOptions{}))
	apply := func(size string, options metav1.ApplyOptions) func() (string, error) {
		return func() (string, error) {
			wanted := coreapply.ConfigMap("one", t.namespace).WithData(map[string]string{"size": size})
			found, err := t.maps.Apply(ctx, wanted, options)
			if err != nil {
				return "", err
			}
			return owner(found), nil
		}
	}
	t.step("apply (server-side)", apply("1", metav1.ApplyOptions{FieldManager: "first"}))
	t.step("apply what another manager owns", apply("2", metav1.ApplyOptions{FieldManager: "second"}))
	t.step("apply by force", apply("2", metav1.ApplyOptions{FieldManager: "second", Force: true}))
}

func (t *typed) deletions() {
	for _, how := range []metav1.DeletionPropagation{"Background", "Foreground", "Orphan"} {
		parent, err := t.maps.Create(ctx, config("parent", "1"), metav1.CreateOptions{})
		must(err)
		_, err = t.maps.Create(ctx, owned(config("child", "1"), parent.UID), metav1.CreateOptions{})
		must(err)
		t.step("delete, "+strings.ToLower(string(how)), func() (string, error) { return t.deleted(how) })
	}
	must(t.maps.Delete(ctx, "child", metav1.DeleteOptions{}))
	kept := config("kept", "1")
	kept.Finalizers = []string{"example.com/kept"}
	_, err := t.maps.Create(ctx, kept, metav1.CreateOptions{})
	must(err)
	must(t.maps.Delete(ctx, "kept", metav1.DeleteOptions{}))
	t.step("delete what has a finalizer", func() (string, error) {
		found, err := t.maps.Get(ctx, "kept", metav1.GetOptions{})
		if err != nil || found.DeletionTimestamp == nil {
			return "not deleted", err
		}
		return "kept", nil
	})
	_, err = t.maps.Patch(ctx, "kept", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	must(err)
	t.step("take the last finalizer away", t.get("kept"))
}

func (t *typed) deleted(how metav1.DeletionPropagation) (string, error) {
	must(t.maps.Delete(ctx, "parent", metav1.DeleteOptions{PropagationPolicy: &how}))
	wanted := "child gone"
	if how == metav1.DeletePropagationOrphan {
		wanted = "child left"
	}
	_, err := until(t.get("parent"), `NotFound: configmaps "parent" not found`)
	must(err)
	return until(func() (string, error) {
		found, err := t.maps.Get(ctx, "child", metav1.GetOptions{})
		if err == nil && len(found.OwnerReferences) == 0 {
			return "child left", nil
		}
		return gone(err, "owned")
	}, wanted)
}

func (t *typed) rights() {
	core := t.api.CoreV1()
	named := metav1.ObjectMeta{Name: "runner"}
	accounts := core.ServiceAccounts(t.namespace)
	_, err := accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: named}, metav1.CreateOptions{})
	must(err)
	seconds := int64(600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	given, err := accounts.CreateToken(ctx, "runner", request, metav1.CreateOptions{})
	must(err)
	theirs := rest.AnonymousClientConfig(t.config)
	theirs.BearerToken = given.Status.Token
	runner, err := kubernetes.NewForConfig(theirs)
	must(err)
	t.step("request a token, and say who it is", func() (string, error) {
		review := &authenticationv1.SelfSubjectReview{}
		found, err := runner.AuthenticationV1().SelfSubjectReviews().Create(ctx, review, metav1.CreateOptions{})
		return found.Status.UserInfo.Username, err
	})
	t.step("list without the right to", func() (string, error) {
		_, err := runner.CoreV1().ConfigMaps(t.namespace).List(ctx, metav1.ListOptions{})
		return "", err
	})
	allowed := func() (string, error) {
		asked := &authorizationv1.ResourceAttributes{Namespace: t.namespace, Verb: "list", Resource: "configmaps"}
		review := &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: asked},
		}
		found, err := runner.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		return map[bool]string{true: "yes", false: "no"}[found.Status.Allowed], err
	}
	t.step("ask for one's own rights", allowed)
	rule := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"}}
	role := &rbacv1.Role{ObjectMeta: named, Rules: []rbacv1.PolicyRule{rule}}
	_, err = t.api.RbacV1().Roles(t.namespace).Create(ctx, role, metav1.CreateOptions{})
	must(err)
	binding := &rbacv1.RoleBinding{
		ObjectMeta: named,
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: "runner"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "runner", Namespace: t.namespace}},
	}
	_, err = t.api.RbacV1().RoleBindings(t.namespace).Create(ctx, binding, metav1.CreateOptions{})
	must(err)
	t.step("ask again with a Role bound", func() (string, error) { return until(allowed, "yes") })
}

func (t *typed) leases() {
	leases := t.api.CoordinationV1().Leases(t.namespace)
	first, second := "first", "second"
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: "lead"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &first},
	}
	lease, err := leases.Create(ctx, lease, metav1.CreateOptions{})
	must(err)
	lease.Spec.HolderIdentity = &second
	take := func() (string, error) {
		found, err := leases.Update(ctx, lease, metav1.UpdateOptions{})
		if err != nil {
			return "", err
		}
		return *found.Spec.HolderIdentity, nil
	}
	t.step("take a Lease over", take)
	t.step("take it over again from the same version", take)
}

func (t *typed) kinds() {
	t.step("which kinds are there", func() (string, error) {
		found, err := t.api.Discovery().ServerResourcesForGroupVersion("apps/v1")
		must(err)
		listed := []string{}
		for _, each := range found.APIResources {
			if each.Name == "deployments" || each.Name == "replicasets" || each.Name == "statefulsets" {
				listed = append(listed, each.Name+".apps")
			}
		}
		return names(listed), nil
	})
}

func (t *typed) workloads() {
	deployments := t.api.AppsV1().Deployments(t.namespace)
	t.step("scale a Deployment", func() (string, error) {
		scale, err := deployments.GetScale(ctx, "web", metav1.GetOptions{})
		must(err)
		scale.Spec.Replicas = 2
		found, err := deployments.UpdateScale(ctx, "web", scale, metav1.UpdateOptions{})
		return fmt.Sprint(found.Spec.Replicas), err
	})
	t.step("its Pods become ready", func() (string, error) {
		return until(func() (string, error) {
			found, err := deployments.Get(ctx, "web", metav1.GetOptions{})
			return fmt.Sprint(found.Status.ReadyReplicas), err
		}, "2")
	})
	must(deployments.Delete(ctx, "web", metav1.DeleteOptions{}))
	jobs := t.api.BatchV1().Jobs(t.namespace)
	_, err := jobs.Create(ctx, t.job("quick"), metav1.CreateOptions{})
	must(err)
	t.step("a Job ends", func() (string, error) {
		return until(func() (string, error) {
			found, err := jobs.Get(ctx, "quick", metav1.GetOptions{})
			return fmt.Sprint(found.Status.Succeeded), err
		}, "1")
	})
}

func (t *typed) pods() {
	pods := t.api.CoreV1().Pods(t.namespace)
	for name, command := range map[string][]string{"shell": {"sh", "-c", speaks}, "echo": {"python3", "-c", echoes}} {
		_, err := pods.Create(ctx, t.pod(name, command...), metav1.CreateOptions{})
		must(err)
	}
	t.step("a Pod runs", func() (string, error) {
		return until(func() (string, error) {
			found, err := pods.Get(ctx, "shell", metav1.GetOptions{})
			return string(found.Status.Phase), err
		}, "Running")
	})
	t.step("log", func() (string, error) {
		return until(func() (string, error) { return t.log("shell"), nil }, "said")
	})
	t.step("exec", t.executed)
	t.step("attach", t.attached)
	t.step("port-forward", t.forwarded)
	t.step("evict", func() (string, error) {
		eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "echo"}}
		must(pods.EvictV1(ctx, eviction))
		return until(func() (string, error) {
			_, err := pods.Get(ctx, "echo", metav1.GetOptions{})
			return "there", err
		}, `NotFound: pods "echo" not found`)
	})
}

func (t *typed) log(pod string) string {
	text, err := t.api.CoreV1().Pods(t.namespace).GetLogs(pod, &corev1.PodLogOptions{}).DoRaw(ctx)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func (t *typed) stream(subresource string, options any, streams remotecommand.StreamOptions) error {
	request := t.api.CoreV1().RESTClient().Post().Resource("pods").Namespace(t.namespace).Name("shell").SubResource(subresource)
	switch given := options.(type) {
	case *corev1.PodExecOptions:
		request = request.VersionedParams(given, scheme.ParameterCodec)
	case *corev1.PodAttachOptions:
		request = request.VersionedParams(given, scheme.ParameterCodec)
	}
	executor, err := remotecommand.NewWebSocketExecutor(t.config, "GET", request.URL().String())
	must(err)
	return executor.StreamWithContext(ctx, streams)
}

func (t *typed) executed() (string, error) {
	var out bytes.Buffer
	options := &corev1.PodExecOptions{Command: []string{"sh", "-c", answers}, Stdin: true, Stdout: true, Stderr: true}
	streams := remotecommand.StreamOptions{Stdin: strings.NewReader("this\n"), Stdout: &out, Stderr: os.Stderr}
	status := 0
	if err := t.stream("exec", options, streams); err != nil {
		ended, ok := err.(interface{ ExitStatus() int })
		if !ok {
			panic(err)
		}
		status = ended.ExitStatus()
	}
	return fmt.Sprintf("%s, status %d", strings.TrimSpace(out.String()), status), nil
}

// heard hands on the first line that is written.
type heard chan string

func (h heard) Write(written []byte) (int, error) {
	for _, line := range strings.Split(string(written), "\n") {
		if strings.HasPrefix(line, "heard ") {
			h <- line
		}
	}
	return len(written), nil
}

func (t *typed) attached() (string, error) {
	lines := make(heard, 10)
	options := &corev1.PodAttachOptions{Stdin: true, Stdout: true, Stderr: true}
	// A container runtime ends an attachment with its input, and passes input on before it passes output back: the input stays open,
	// and says the same again, until the answer has come.
	input, line := io.Pipe()
	defer line.Close()
	streams := remotecommand.StreamOptions{Stdin: input, Stdout: lines, Stderr: os.Stderr}
	go func() { _ = t.stream("attach", options, streams) }() // it goes on as long as the Pod
	go func() {
		for {
			if _, err := io.WriteString(line, "this\n"); err != nil {
				return
			}
			time.Sleep(2 * time.Second)
		}
	}()
	select {
	case line := <-lines:
		return line, nil
	case <-time.After(patient):
		return "nothing heard", nil
	}
}

func (t *typed) forwarded() (string, error) {
	_, err := until(func() (string, error) { return strings.Split(t.log("echo"), " ")[0], nil }, "at")
	must(err)
	port := strings.TrimPrefix(t.log("echo"), "at ")
	address := t.api.CoreV1().RESTClient().Post().Resource("pods").Namespace(t.namespace).Name("echo").SubResource("portforward")
	transport, upgrader, err := spdy.RoundTripperFor(t.config)
	must(err)
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", address.URL())
	stop, ready := make(chan struct{}), make(chan struct{})
	defer close(stop)
	forwarder, err := portforward.New(dialer, []string{"0:" + port}, stop, ready, nil, os.Stderr)
	must(err)
	go func() { must(forwarder.ForwardPorts()) }()
	<-ready
	ports, err := forwarder.GetPorts()
	must(err)
	return read(fmt.Sprintf("127.0.0.1:%d", ports[0].Local))
}
