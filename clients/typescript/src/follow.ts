// Submits a task to TaskFlow, follows it to its end, and prints its result.
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";

import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Task_Status, TaskEvent_Kind, type Task, type TaskEvent } from "taskflow-contract/taskflow/v1/task_pb";
import { StreamClosing_Reason, TaskService } from "taskflow-contract/taskflow/v1/task_service_pb";

const RESUME_DELAY_MS = 500;
const RESUMES = 20; // in a row, without a message between them

const address = process.env["TASKFLOW_GRPC"] ?? "127.0.0.1:50051";
const tasks = createClient(TaskService, createGrpcTransport({ baseUrl: `http://${address}` }));

async function submit(): Promise<Task> {
  return tasks.createTask({
    requestId: randomUUID(), // makes it safe to send this again
    task: {
      name: "Fibonacci from TypeScript",
      taskType: "compute",
      payloadKind: { case: "payloadJson", value: JSON.stringify({ operation: "fibonacci", n: 30 }) },
    },
  });
}

// Prints a task as it is, then each of its events, and returns it at its end. A stream that ends earlier is resumed
// after the last message seen, with no gap and no duplicate.
async function follow(taskId: string): Promise<Task> {
  let resumeToken = "";
  for (let resumes = 0; resumes < RESUMES; resumes++) {
    try {
      for await (const update of tasks.watchTask({ taskId, resumeToken })) {
        resumeToken = update.resumeToken;
        resumes = 0;
        const { case: kind, value } = update.message;
        if (kind === "snapshot" && value.task) {
          console.log(`#${value.task.lastSequence}`, Task_Status[value.task.status]);
        } else if (kind === "event") {
          print(value);
        } else if (kind === "closing" && value.reason === StreamClosing_Reason.FINISHED && value.task) {
          return value.task;
        } else if (kind === "closing" && value.reason === StreamClosing_Reason.DELETED) {
          throw new Error(`task ${taskId} was deleted`);
        }
      }
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unavailable) throw error;
      console.error("the stream was cut; resuming");
    }
    await pause(RESUME_DELAY_MS);
  }
  throw new Error(`${address} cannot be reached`);
}

function print({ sequence, kind, progress, error, message }: TaskEvent): void {
  const percent = progress ? `${progress.percent.toFixed(0)}% ${progress.message}` : "";
  console.log(`#${sequence}`, TaskEvent_Kind[kind], percent || error?.message || message);
}

const submitted = await submit();
console.log(`submitted ${submitted.id}`);
const task = await follow(submitted.id);
if (task.status !== Task_Status.SUCCEEDED) {
  throw new Error(`the task is ${Task_Status[task.status]}: ${task.error?.message ?? ""}`);
}
console.log("result", task.resultKind.value);
