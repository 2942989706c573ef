// Exceptions at the top of loops and threads, where nobody else would catch them: an exception that leaves a thread's
// function ends the process, and with it the service of every tenant.
//
// Two answers, chosen where the thread is started. A loop whose rounds do not depend on each other runs each round
// through Catching() and goes on. A thread whose state may be half changed runs through OrEnd(), which ends the process
// with a line in the log that says why; whoever supervises it starts it again, and state is rebuilt from what lasts.
// Expected failures are no exceptions: they travel as Status. Thread-safe.
#pragma once

#include <functional>
#include <string_view>

#include "services/common/result.h"

namespace allod {

// What `work` returns; INTERNAL / INTERNAL, and a line in the log that names `what`, when it throws.
Status Catching(std::string_view what, const std::function<Status()>& work);

// Runs `body`, the whole function of a thread. If it throws, logs which thread and why, and aborts the process.
void OrEnd(std::string_view thread, const std::function<void()>& body);

}  // namespace allod
