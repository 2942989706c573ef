#include "tests/bench/pool/apart.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

namespace allod::bench {

namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr std::chrono::seconds kGrace(60);  // to take an installation down

// One message a line: "+name" begins, "-why" ended.
void Tell(int fd, char kind, std::string text) {
  std::ranges::replace(text, '\n', ' ');
  const std::string line = kind + text + '\n';
  (void)!::write(fd, line.data(), line.size());
}

void PrintFailure(const std::string& name, const std::string& why) {
  nlohmann::ordered_json out;
  out["benchmark"] = name;
  out["failed"] = why;
  fmt::print("{}\n", out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  std::fflush(stdout);
}

std::string HowItEnded(int status) {
  if (WIFSIGNALED(status)) return fmt::format("its process was ended by signal {}", WTERMSIG(status));
  return fmt::format("its process ended with status {} in the middle", WEXITSTATUS(status));
}

class Child {
 public:
  Child(const std::vector<std::string>& names,
        const std::function<void(const std::vector<std::string>&, const Progress&)>& run) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    std::fflush(nullptr);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("no process for the benchmarks could be started");
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (::getppid() != parent) ::_exit(1);
      ::close(ends[0]);
      run(names, Progress(ends[1]));
      std::fflush(nullptr);
      ::_exit(0);
    }
    ::close(ends[1]);
    fd_ = ends[0];
  }
  ~Child() { ::close(fd_); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  enum class Read { kLine, kEnd, kTimeout };
  Read ReadLine(SteadyClock::time_point deadline, std::string& line) {
    while (true) {
      if (const std::size_t end = received_.find('\n'); end != std::string::npos) {
        line = received_.substr(0, end);
        received_.erase(0, end + 1);
        return Read::kLine;
      }
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
      if (left <= 0) return Read::kTimeout;
      pollfd wanted{.fd = fd_, .events = POLLIN, .revents = 0};
      if (::poll(&wanted, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000))) <= 0) continue;
      char buffer[4096];
      const ssize_t n = ::read(fd_, buffer, sizeof(buffer));
      if (n <= 0) return Read::kEnd;
      received_.append(buffer, static_cast<std::size_t>(n));
    }
  }
  int Wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    return status;
  }
  void Stop() {
    ::kill(pid_, SIGTERM);
    for (const auto deadline = SteadyClock::now() + kGrace; SteadyClock::now() < deadline;) {
      if (::waitpid(pid_, nullptr, WNOHANG) != 0) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = -1;
  int fd_ = -1;
  std::string received_;
};

}  // namespace

void Progress::Begins(const std::string& name) const { Tell(fd_, '+', name); }
void Progress::Ended(const std::string& failure) const { Tell(fd_, '-', failure); }

std::vector<std::pair<std::string, std::string>> RunApart(
    const std::vector<std::string>& names, std::chrono::milliseconds limit,
    const std::function<void(const std::vector<std::string>&, const Progress&)>& run) {
  std::vector<std::pair<std::string, std::string>> failures;
  const auto fail = [&](const std::string& name, const std::string& why) {
    PrintFailure(name, why);
    failures.emplace_back(name, why);
  };
  for (auto left = names; !left.empty();) {
    Child child(left, run);
    bool goes_on = true;
    while (goes_on) {
      std::string line;
      switch (child.ReadLine(SteadyClock::now() + limit, line)) {
        case Child::Read::kLine:
          if (line.front() == '-') {
            if (line.size() > 1) fail(left.front(), line.substr(1));
            left.erase(left.begin());
          }
          break;
        case Child::Read::kEnd: {
          const int status = child.Wait();
          goes_on = false;
          if (left.empty()) break;
          fail(left.front(), HowItEnded(status));
          left.erase(left.begin());
          break;
        }
        case Child::Read::kTimeout:
          child.Stop();
          goes_on = false;
          if (left.empty()) break;
          fail(left.front(), fmt::format("nothing came of it in {} s", limit.count() / 1000));
          left.erase(left.begin());
          break;
      }
    }
  }
  return failures;
}

}  // namespace allod::bench
