// Receives webhooks: checks each request, and takes each event once.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"taskflow/clients/go/webhook"
)

const maxBytes = 1_000_000

func main() {
	log.SetFlags(0)
	keys := strings.Fields(os.Getenv("TASKFLOW_WEBHOOK_KEYS"))
	if len(keys) == 0 {
		log.Fatal("set TASKFLOW_WEBHOOK_KEYS to the secret that CreateWebhook answered with, or to its public key")
	}
	listener, err := net.Listen("tcp", cmp.Or(os.Getenv("RECEIVER_ADDRESS"), "127.0.0.1:8000"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", listener.Addr())
	server := &http.Server{Handler: &receiver{keys: keys}, ReadTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}

type receiver struct {
	keys []string
	seen sync.Map // a real receiver keeps this where it keeps what it does with the events
}

func (r *receiver) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(answer, request.Body, maxBytes))
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	event, err := webhook.Verify(body, request.Header, time.Now(), r.keys...)
	switch {
	case errors.Is(err, webhook.ErrInvalid):
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	case err != nil:
		http.Error(answer, "the receiver is not set up", http.StatusInternalServerError)
		log.Print(err)
		return
	}
	if _, known := r.seen.LoadOrStore(request.Header.Get("webhook-id"), true); !known {
		subject := cmp.Or(event.GetData().GetTask().GetId(), event.GetData().GetExecution().GetId())
		fmt.Println(event.GetTimestamp().AsTime().Format(time.RFC3339Nano), event.GetType(), subject)
	}
	answer.WriteHeader(http.StatusNoContent)
}
