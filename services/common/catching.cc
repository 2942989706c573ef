#include "services/common/catching.h"

#include <cstdlib>
#include <exception>
#include <string>

#include "services/common/log.h"

namespace allod {
namespace {

// Of the exception that is being handled.
std::string Words() {
  try {
    throw;
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "something that is no exception";
  }
}

}  // namespace

Status Catching(std::string_view what, const std::function<Status()>& work) {
  try {
    return work();
  } catch (...) {
    Log(LogLevel::kError, "a piece of work threw", {{"work", std::string(what)}, {"what", Words()}});
  }
  return Internal("the service failed inside; its log says more");
}

void OrEnd(std::string_view thread, const std::function<void()>& body) {
  try {
    return body();
  } catch (...) {
    Log(LogLevel::kError, "a thread threw; the process ends, to be started again",
        {{"thread", std::string(thread)}, {"what", Words()}});
  }
  std::abort();
}

}  // namespace allod
