// The call that a thread works on: until when its work is to be done, of which trace it is, and who makes it.
//
// While an RPC method runs, its call is that of the thread (what runs methods in rpc/server.h opens the scope), so
// that what lies between the method and the outside need not hand it down. Five places read it: the PostgreSQL pool
// (how long to wait for a connection and for a statement), CallGate (how long for a place), the RPC client (the
// deadline and the trace of calls made for this one), Log() (the field `trace`), and the audit log (who does what it
// records).
//
// Nothing else opens a scope but tests, who hands a call's work to another thread (async_in_call.h), and who does work
// that is to come to its end whoever waits for it. A thread without one works for nobody in particular: no deadline, no
// trace. Where one thread serves many calls by turns (the gateway's coroutines), there is none; deadline and trace are
// arguments there. A call has no actor before it is authorised.
#pragma once

#include <optional>

#include "services/common/actor.h"
#include "services/common/deadline.h"
#include "services/common/trace.h"

namespace allod {

// Makes it the thread's call until destruction, which must be on the same thread; then the one before is again.
class CallScope {
 public:
  CallScope(Deadline deadline, const Trace& trace, std::optional<Actor> actor = {});
  ~CallScope();
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

 private:
  friend Deadline CurrentDeadline();
  friend const Trace* CurrentTrace();
  friend const Actor* CurrentActor();
  const Deadline deadline_;
  const Trace trace_;
  const std::optional<Actor> actor_;
  const CallScope* const outer_;
};

// None without a scope.
Deadline CurrentDeadline();
// Null without a scope; valid while it is open.
const Trace* CurrentTrace();
// Null without a scope, or in one without an actor; valid while it is open.
const Actor* CurrentActor();

}  // namespace allod
