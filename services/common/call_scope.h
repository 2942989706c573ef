// The call that a thread works on: until when its work is to be done, and of which trace it is.
//
// While an RPC method runs, its call is that of the thread (what runs methods in rpc/server.h opens the scope), so
// that what lies between the method and the outside need not hand it down. Four places read it: the PostgreSQL pool
// (how long to wait for a connection and for a statement), CallGate (how long for a place), the RPC client (the deadline and the trace of calls made for
// this one), and Log() (the field `trace`).
//
// Nothing else opens a scope but tests, who hands a call's work to another thread (async_in_call.h), and who does work that is to come to
// its end whoever waits for it. A thread without one works for nobody in particular: no deadline, no trace. Where one
// thread serves many calls by turns (the gateway's coroutines), there is none; deadline and trace are arguments there.
#pragma once

#include "services/common/deadline.h"
#include "services/common/trace.h"

namespace allod {

// Makes it the thread's call until destruction, which must be on the same thread; then the one before is again.
class CallScope {
 public:
  CallScope(Deadline deadline, const Trace& trace);
  ~CallScope();
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

 private:
  friend Deadline CurrentDeadline();
  friend const Trace* CurrentTrace();
  const Deadline deadline_;
  const Trace trace_;
  const CallScope* const outer_;
};

// None without a scope.
Deadline CurrentDeadline();
// Null without a scope; valid while it is open.
const Trace* CurrentTrace();

}  // namespace allod
