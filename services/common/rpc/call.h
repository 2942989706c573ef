// One call as its method gets it: by whom, until when, and of which trace.
#pragma once

#include <google/protobuf/message.h>

#include <chrono>

#include "services/common/deadline.h"
#include "services/common/rpc/caller.h"
#include "services/common/rpc/method.h"
#include "services/common/trace.h"

namespace allod {

// What a method needs to send its answer; with less left, work would be done for nobody.
inline constexpr std::chrono::milliseconds kAnswerTime{20};

struct Call {
  Caller principal;
  // The caller's, less kAnswerTime: until then the method's work is to be done.
  Deadline deadline;
  // The caller's, or one that begins here.
  Trace trace;
  // gRPC's, which knows whether the caller has gone; none: it is not asked. Valid while the method runs.
  const grpc::ServerContextBase* context = nullptr;
};

// What a Call is made of. Handle and HandleStream (server.h) do that; a method that runs on many threads in turn asks
// for what it needs.
//
// Who calls, if the method admits it: UNAUTHENTICATED / NO_CALLER, or what CheckAccess() says. `request` is null for a
// stream of requests.
Result<Caller> Authorise(const Method& method, const grpc::ServerContextBase& context,
                         const google::protobuf::Message* request);
Deadline DeadlineOf(const grpc::ServerContextBase& context);
Trace TraceOf(const grpc::ServerContextBase& context);

// DEADLINE_EXCEEDED / DEADLINE_TOO_NEAR when the call's deadline has passed, CANCELLED / CANCELLED when its caller has
// gone: for who is about to begin, and for loops.
Status CheckAwaited(const Call& call);

}  // namespace allod
