// The life of a forked worker: what it serves, server, sandbox, and obedience to the node agent.
#pragma once

#include <functional>
#include <memory>

#include "inference/ports/servable.h"
#include "inference/ports/turn_gate.h"
#include "inference/ports/usage_recorder.h"
#include "inference/zygote/zygote.h"
#include "services/common/result.h"

namespace allod::inference::worker {

// Makes what a forked worker serves, of what its zygote has in memory; `gate` and `usage` outlive it.
using MakeServable = std::function<Result<std::unique_ptr<ports::Servable>>(
    const zygote::WorkerShape& shape, ports::TurnGate& gate, ports::UsageRecorder& usage)>;

// Before the forks: builds what every worker would build for itself after its fork, the descriptors of its service, so
// that they are in memory once. FAILED_PRECONDITION when a method of the service has no rule.
Status PrepareForForks();

// Exit status: 0 it was told to stop or its agent is gone; 1 it could not start (the last line on standard error is
// {"code","reason","message"}); 3 the model cannot be served.
int ServeInstance(const MakeServable& make, zygote::WorkerStart start);

// The line described above; returns `status`.
int ExitWith(const Error& error, int status);

inline constexpr int kExitFailed = 1;
inline constexpr int kExitModel = 3;

}  // namespace allod::inference::worker
