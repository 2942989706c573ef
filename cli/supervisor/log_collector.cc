#include "cli/supervisor/log_collector.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "services/common/catching.h"
#include "services/common/owned_fd.h"

namespace allod::cli::supervisor {
namespace {

constexpr int kPipeBytes = 1 << 20;
// A longer line is broken: memory does not grow with it.
constexpr std::size_t kLineBytesMax = 64 << 10;
// Of one pipe at a time, so that one process that writes without end does not keep the others' lines back.
constexpr int kReadsMax = 64;
constexpr int kPauseAfterFailureMs = 100;

}  // namespace

LogCollector::LogCollector(LogLimits limits) : limits_(limits) {
  // Signals are for the thread that supervises.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = OwnedThread("log collector", [this](const std::stop_token& stop) { Loop(stop); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Result<OwnedFd> LogCollector::Open(const std::filesystem::path& file) {
  Pipe pipe = Pipe::Make();
  if (!pipe) {
    return Fail(Code::kInternal, "NO_PIPE",
                fmt::format("cannot make a pipe for {}: {}", file.string(), std::strerror(errno)));
  }
  ::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(pipe.write.get(), F_SETPIPE_SZ, kPipeBytes);  // less where the system allows less
  {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<RotatingFile>& target = files_[file];
    if (!target) target = std::make_unique<RotatingFile>(file, limits_);
    sources_.push_back(std::make_unique<Source>(Source{std::move(pipe.read), target.get(), {}}));
  }
  wake_.Wake();
  return std::move(pipe.write);
}

void LogCollector::Flush() {
  const std::lock_guard lock(mutex_);
  DrainAll();
}

void LogCollector::DrainAll() {
  std::erase_if(sources_, [this](const std::unique_ptr<Source>& source) {
    bool open = true;
    const Status drained = Catching("take what a process wrote", [&]() -> Status {
      open = Drain(*source);
      return {};
    });
    if (!drained) std::string().swap(source->partial);  // this process supervises all others: it goes on without it
    return !open;
  });
}

bool LogCollector::Drain(Source& source) {
  std::array<char, 16 << 10> buffer;
  for (int i = 0; i < kReadsMax; ++i) {
    const ssize_t n = ::read(source.fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN;
    if (n > 0) source.partial.append(buffer.data(), static_cast<std::size_t>(n));
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = source.partial.find('\n', begin)) != std::string::npos; begin = end + 1) {
      source.file->Append(std::string_view(source.partial).substr(begin, end + 1 - begin));
    }
    source.partial.erase(0, begin);
    if (source.partial.size() >= kLineBytesMax || (n == 0 && !source.partial.empty())) {
      source.file->Append(source.partial + "\n");
      source.partial.clear();
    }
    if (n == 0) return false;
  }
  return true;
}

void LogCollector::Loop(const std::stop_token& stop) {
  const std::stop_callback woken(stop, [this] { wake_.Wake(); });
  bool stopping = false;
  while (!stopping) {
    std::vector<pollfd> watched;
    const Status listed = Catching("collect logs", [&]() -> Status {
      const std::lock_guard lock(mutex_);
      wake_.Clear();
      stopping = stop.stop_requested();
      DrainAll();
      watched.push_back({wake_.get(), POLLIN, 0});
      for (const auto& source : sources_) watched.push_back({source->fd.get(), POLLIN, 0});
      return {};
    });
    // What is not watched now is looked at in the next round.
    const int pause_ms = listed ? -1 : kPauseAfterFailureMs;
    if (!stopping) ::poll(watched.data(), watched.size(), pause_ms);
  }
}

}  // namespace allod::cli::supervisor
