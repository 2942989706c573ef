#include "services/common/call_scope.h"

#include <utility>

namespace allod {
namespace {

thread_local const CallScope* current = nullptr;

}  // namespace

CallScope::CallScope(Deadline deadline, const Trace& trace, std::optional<Actor> actor)
    : deadline_(deadline), trace_(trace), actor_(std::move(actor)), outer_(current) {
  current = this;
}

CallScope::~CallScope() { current = outer_; }

Deadline CurrentDeadline() { return current != nullptr ? current->deadline_ : Deadline::None(); }

const Trace* CurrentTrace() { return current != nullptr ? &current->trace_ : nullptr; }

const Actor* CurrentActor() { return current != nullptr && current->actor_ ? &*current->actor_ : nullptr; }

}  // namespace allod
