// Command go_clients asks a host with client-go or with controller-runtime, and prints as JSON what it is answered, in order.
// Its arguments are which of the two, a kubeconfig, and a namespace that is not there yet.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"sort"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	image   = "python:3.11"
	patient = 100 * time.Second
	speaks  = "echo said; while read line; do echo heard $line; done; sleep 1000"
	answers = "read line; echo got $line; exit 5"
	echoes  = `
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    print("at", server.getsockname()[1], flush=True)
    while True:
        with server.accept()[0] as one:
            one.sendall(b"through")
`
)

var (
	ctx     = context.Background()
	grouped = regexp.MustCompile(`^(\w+)\.\S+ ("\S+" is invalid: )`)
	random  = regexp.MustCompile(`-[a-z0-9]{5}$`)
)

// asked keeps the answers, by step and in order.
type asked struct {
	config    *rest.Config
	namespace string
	steps     []string
	answers   map[string]string
}

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[2])
	must(err)
	config.QPS, config.Burst = 1000, 1000
	a := &asked{config: config, namespace: os.Args[3], answers: map[string]string{}}
	map[string]func(*asked){"client-go": clientGo, "controller-runtime": controllerRuntime}[os.Args[1]](a)
	a.print()
}

// step keeps what is answered; an error of the server is an answer.
func (a *asked) step(name string, ask func() (string, error)) {
	answer, err := ask()
	if err != nil {
		answer = told(err)
	}
	a.steps = append(a.steps, name)
	a.answers[name] = strings.ReplaceAll(answer, a.namespace, "NAMESPACE")
}

func (a *asked) print() {
	var out bytes.Buffer
	for i, name := range a.steps {
		key, _ := json.Marshal(name)
		value, _ := json.Marshal(a.answers[name])
		if i > 0 {
			out.WriteString(",")
		}
		fmt.Fprintf(&out, "%s:%s", key, value)
	}
	fmt.Printf("{%s}\n", out.String())
}

// told is reason and message; an invalid object's kind without its group, which kubectl does not say.
func told(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		panic(err)
	}
	found := status.Status()
	return fmt.Sprintf("%s: %s", found.Reason, grouped.ReplaceAllString(found.Message, "$1 $2"))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// until looks again until that is seen; returns it.
func until(look func() (string, error), wanted string) (string, error) {
	deadline := time.Now().Add(patient)
	for {
		seen, err := look()
		if err != nil {
			seen = told(err)
		}
		if seen == wanted {
			return seen, nil
		}
		if time.Now().After(deadline) {
			return fmt.Sprintf("%q is not %q after %s", seen, wanted, patient), nil
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func data(found map[string]string) string {
	told := make([]string, 0, len(found))
	for key, value := range found {
		told = append(told, key+"="+value)
	}
	return names(told)
}

func names(found []string) string {
	sort.Strings(found)
	return strings.Join(found, ", ")
}

func made(name string) string { return random.ReplaceAllString(name, "-?????") }

func config(name, size string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Data:       map[string]string{"size": size},
	}
}

func (a *asked) labelled(name, size string, labels map[string]string) *corev1.ConfigMap {
	found := config(name, size)
	found.Namespace, found.Labels = a.namespace, labels
	return found
}

func owned(child *corev1.ConfigMap, uid types.UID) *corev1.ConfigMap {
	blocks := true
	child.OwnerReferences = []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "ConfigMap", Name: "parent", UID: uid, BlockOwnerDeletion: &blocks},
	}
	return child
}

func owner(found *corev1.ConfigMap) string {
	managers := []string{}
	for _, each := range found.ManagedFields {
		if strings.Contains(string(each.FieldsV1.Raw), `"f:data"`) {
			managers = append(managers, each.Manager)
		}
	}
	return data(found.Data) + " of " + names(managers)
}

func (a *asked) pod(name string, command ...string) *corev1.Pod {
	grace := int64(1)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: a.namespace, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: &grace,
			Containers:                    []corev1.Container{{Name: "main", Image: image, Command: command, Stdin: true}},
		},
	}
}

func (a *asked) deployment(name string) *appsv1.Deployment {
	none, pod := int32(0), a.pod(name, "sh", "-c", speaks)
	pod.Spec.RestartPolicy = corev1.RestartPolicyAlways
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: a.namespace},
		Spec: appsv1.DeploymentSpec{
			Replicas: &none,
			Selector: &metav1.LabelSelector{MatchLabels: pod.Labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: pod.Spec},
		},
	}
}

func (a *asked) job(name string) *batchv1.Job {
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: a.namespace},
		Spec:       batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: a.pod(name, "true").Spec}},
	}
}

func containers(found *appsv1.Deployment) string {
	listed := []string{}
	for _, each := range found.Spec.Template.Spec.Containers {
		listed = append(listed, each.Name)
	}
	return names(listed)
}

// gone is what stands in an answer for an object that is there no more, or that it is there.
func gone(err error, otherwise string) (string, error) {
	if apierrors.IsNotFound(err) {
		return "child gone", nil
	}
	return otherwise, err
}
