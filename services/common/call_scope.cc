#include "services/common/call_scope.h"

namespace allod {
namespace {

thread_local const CallScope* current = nullptr;

}  // namespace

CallScope::CallScope(Deadline deadline, const Trace& trace) : deadline_(deadline), trace_(trace), outer_(current) {
  current = this;
}

CallScope::~CallScope() { current = outer_; }

Deadline CurrentDeadline() { return current != nullptr ? current->deadline_ : Deadline::None(); }

const Trace* CurrentTrace() { return current != nullptr ? &current->trace_ : nullptr; }

}  // namespace allod
