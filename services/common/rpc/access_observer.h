// Who is told how calls were authorised: the audit log, in the processes that have one.
#pragma once

#include <string>
#include <string_view>

#include "services/common/result.h"
#include "services/common/rpc/caller.h"
#include "services/common/rpc/method.h"

namespace allod {

// What was asked, by whom, about what. Valid while the observer is called.
struct Asked {
  const Method& method;
  const Caller& caller;
  std::string_view resource;  // as the caller wrote it; empty where the method names none
  std::string_view trace_id;
};

// Called on the threads of calls, many at once; must neither block nor throw.
class AccessObserver {
 public:
  virtual ~AccessObserver() = default;
  // The call was refused, by CheckAccess() or with PERMISSION_DENIED by the method itself.
  virtual void OnRefused(const Asked& asked, const Error& error) = 0;
  // The method has answered.
  virtual void OnAnswered(const Asked& asked) = 0;
};

// Makes it the observer of every call of this process until destruction; one at a time.
class ObserveAccess {
 public:
  explicit ObserveAccess(AccessObserver& observer);
  ~ObserveAccess();
  ObserveAccess(const ObserveAccess&) = delete;
};

// Tells the observer, if there is one, how the call ended. `admitted`: CheckAccess() let it in.
void TellObserver(const Asked& asked, bool admitted, const Status& status);

}  // namespace allod
