#include "tests/bench/pool/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>

namespace allod::bench {

namespace {

struct Registry {
  std::mutex mutex;
  std::map<pid_t, std::filesystem::path> children;
};

Registry& TheRegistry() {
  static auto* registry = new Registry;  // never destroyed: the thread below outlives main()
  return *registry;
}

sigset_t Interrupts() {
  sigset_t out;
  sigemptyset(&out);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&out, signal);
  return out;
}

[[noreturn]] void EndAll(int signal) {
  Registry& registry = TheRegistry();
  const std::scoped_lock lock(registry.mutex);
  for (const auto& [child, directory] : registry.children) ::kill(child, SIGTERM);
  for (const auto& [child, directory] : registry.children) {
    for (int i = 0; i < 200 && ::waitpid(child, nullptr, WNOHANG) == 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }
  ::_exit(128 + signal);
}

}  // namespace

void HandleInterrupts() {
  const sigset_t interrupts = Interrupts();
  pthread_sigmask(SIG_BLOCK, &interrupts, nullptr);
  std::thread([interrupts] {
    int signal = 0;
    while (sigwait(&interrupts, &signal) != 0) {
    }
    EndAll(signal);
  }).detach();
}

EndedWhenInterrupted::EndedWhenInterrupted(pid_t child, std::filesystem::path directory) : child_(child) {
  Registry& registry = TheRegistry();
  const std::scoped_lock lock(registry.mutex);
  registry.children[child] = std::move(directory);
}

EndedWhenInterrupted::~EndedWhenInterrupted() {
  Registry& registry = TheRegistry();
  const std::scoped_lock lock(registry.mutex);
  registry.children.erase(child_);
}

}  // namespace allod::bench
