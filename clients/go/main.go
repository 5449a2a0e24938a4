// Submits a task to TaskFlow, follows it to its end, and prints its result.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	taskflow "taskflow/gen/go/taskflow/v1"
)

const (
	resumeDelay = 500 * time.Millisecond
	resumes     = 20 // in a row, without a message between them
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	address := cmp.Or(os.Getenv("TASKFLOW_GRPC"), "127.0.0.1:50051")
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	tasks := taskflow.NewTaskServiceClient(connection)

	task, err := submit(ctx, tasks)
	if err != nil {
		return err
	}
	fmt.Println("submitted", task.GetId())
	task, err = follow(ctx, tasks, task.GetId())
	if err != nil {
		return err
	}
	if task.GetStatus() != taskflow.Task_SUCCEEDED {
		return fmt.Errorf("the task is %s: %s", task.GetStatus(), task.GetError().GetMessage())
	}
	fmt.Println("result", task.GetResultJson())
	return nil
}

func submit(ctx context.Context, tasks taskflow.TaskServiceClient) (*taskflow.Task, error) {
	return tasks.CreateTask(ctx, &taskflow.CreateTaskRequest{
		RequestId: rand.Text(), // makes it safe to send this again
		Task: &taskflow.Task{
			Name:        "Fibonacci from Go",
			TaskType:    "compute",
			PayloadKind: &taskflow.Task_PayloadJson{PayloadJson: `{"operation": "fibonacci", "n": 30}`},
		},
	})
}

// follow prints a task as it is, then each of its events, and returns the task at its end. A stream that ends earlier is
// resumed after the last message seen, with no gap and no duplicate.
func follow(ctx context.Context, tasks taskflow.TaskServiceClient, id string) (*taskflow.Task, error) {
	watch := &taskflow.WatchTaskRequest{TaskId: id}
	for left := resumes; left > 0; left-- {
		before := watch.GetResumeToken()
		task, err := followOnce(ctx, tasks, watch)
		if task != nil {
			return task, nil
		}
		if !errors.Is(err, io.EOF) && status.Code(err) != codes.Unavailable {
			return nil, err
		}
		if watch.GetResumeToken() != before {
			left = resumes
		}
		select {
		case <-time.After(resumeDelay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, errors.New("the server cannot be reached")
}

// followOnce reads one stream and keeps the resume token up to date. It returns the finished task, or
// why the stream ended before: io.EOF if the server closed it.
func followOnce(ctx context.Context, tasks taskflow.TaskServiceClient, watch *taskflow.WatchTaskRequest) (*taskflow.Task, error) {
	stream, err := tasks.WatchTask(ctx, watch)
	if err != nil {
		return nil, err
	}
	for {
		update, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		watch.ResumeToken = update.GetResumeToken()
		if task := update.GetSnapshot().GetTask(); task != nil {
			fmt.Printf("#%d %s\n", task.GetLastSequence(), task.GetStatus())
		}
		if event := update.GetEvent(); event != nil {
			report(event)
		}
		switch closing := update.GetClosing(); closing.GetReason() {
		case taskflow.StreamClosing_FINISHED:
			return closing.GetTask(), nil
		case taskflow.StreamClosing_DELETED:
			return nil, fmt.Errorf("task %s was deleted", watch.GetTaskId())
		}
	}
}

func report(event *taskflow.TaskEvent) {
	detail := cmp.Or(event.GetError().GetMessage(), event.GetMessage())
	if progress := event.GetProgress(); progress != nil {
		detail = fmt.Sprintf("%.0f%% %s", progress.GetPercent(), progress.GetMessage())
	}
	fmt.Printf("#%d %s %s\n", event.GetSequence(), event.GetKind(), detail)
}
