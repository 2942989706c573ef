#include "inference/node/process/zygote_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <utility>

#include "inference/zygote/uid_maps.h"

namespace allod::inference::node::process {
namespace {

constexpr std::int64_t kKvBytesPerTokenMax = 64 << 20;
constexpr int kMessagesAtOnceMax = 64;
// A zygote that closed its channel has this long to end.
constexpr std::chrono::seconds kEndGrace{1};

constexpr double kLoadSecondsMax = 86'400;
// Beyond the model's own size: what a zygote may write at most, into a copy of the model in memory.
constexpr rlim_t kFileBytesBeyondModel = 64 << 20;

// What a message says may be anything. Numbers that do not fit are none.
std::uint64_t IdOf(const nlohmann::json& body) {
  const auto found = body.find("id");
  return found != body.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

std::int64_t Whole(const nlohmann::json& body, const char* name, std::int64_t least, std::int64_t most,
                   std::int64_t otherwise) {
  const auto found = body.find(name);
  if (found == body.end() || !found->is_number_integer()) return otherwise;
  if (found->is_number_unsigned()) {
    return static_cast<std::int64_t>(std::min(found->get<std::uint64_t>(), static_cast<std::uint64_t>(most)));
  }
  return std::clamp(found->get<std::int64_t>(), least, most);
}

double SecondsOf(const nlohmann::json& body, const char* name) {
  const auto found = body.find(name);
  const double seconds = found != body.end() && found->is_number() ? found->get<double>() : 0;
  return std::isfinite(seconds) ? std::clamp(seconds, 0.0, kLoadSecondsMax) : 0;
}

pool::ProcessExit ExitOf(const nlohmann::json& body) {
  pool::ProcessExit exit;
  if (body.contains("signal")) {
    exit.signal = static_cast<int>(Whole(body, "signal", 1, 64, SIGKILL));
  } else {
    exit.status = static_cast<int>(Whole(body, "status", -1, 255, -1));
  }
  return exit;
}

}  // namespace

Result<ZygoteProcess> ZygoteProcess::Start(const ZygoteOptions& options) {
  const OwnedFd model(open(options.model.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!model) {
    return NotFound(fmt::format("artifact {} cannot be opened: {}", options.sha256, std::strerror(errno)));
  }
  ALLOD_TRY(auto channels, zygote::Channel::MakePair());
  ChildOptions child{.command = {options.executable.string(), "--sha256", options.sha256},
                     .inherit = {channels.second.fd(), model.get()}};
  if (options.private_weights) child.command.emplace_back("--private-weights");
  if (options.strict) child.command.emplace_back("--strict");
  ALLOD_TRY(ChildProcess process, ChildProcess::Start(child));
  struct stat info {};
  if (fstat(model.get(), &info) == 0) {
    const rlim_t bytes = static_cast<rlim_t>(info.st_size) + kFileBytesBeyondModel;
    const rlimit limit{bytes, bytes};
    prlimit(process.pid(), RLIMIT_FSIZE, &limit, nullptr);
  }
  return ZygoteProcess(std::move(process), std::move(channels.first), options);
}

std::vector<ZygoteProcess::Event> ZygoteProcess::ReadEvents() {
  std::vector<Event> out;
  // Bounded: one that never stops talking must not hold the agent.
  for (int round = 0; channel_ && round < kMessagesAtOnceMax; ++round) {
    auto received = channel_.Receive(/*wait=*/false);
    if (!received) {
      // Gone, and about to end by itself; or no longer to be understood.
      if (received.error().reason != "CHANNEL_CLOSED") Accuse(received.error().message);
      channel_ = zygote::Channel();
      closed_at_ = std::chrono::steady_clock::now();
      break;
    }
    if (!*received) break;
    const auto now = std::chrono::steady_clock::now();
    messages_.Count(1, now);
    if (messages_.IsSpent(now)) {
      Accuse("it floods its channel");
      break;
    }
    if (auto event = EventOf(**std::move(received))) out.push_back(*std::move(event));
  }
  return out;
}

std::optional<ZygoteProcess::Event> ZygoteProcess::EventOf(zygote::Message message) {
  const std::string type = message.type();
  const std::uint64_t id = IdOf(message.body);
  if (type == "map" && !std::exchange(is_mapped_, true)) {
    zygote::GiveUids(channel_, process_.pid(), first_uid_, "a zygote");
    return std::nullopt;
  }
  if (type == "resident" && !std::exchange(is_resident_, true)) {
    const auto facts = message.body.find("facts");
    const nlohmann::json& said = facts != message.body.end() ? *facts : message.body;
    if (!message.fds.empty() && IsProcFile(message.fds.front().get())) smaps_rollup_ = std::move(message.fds.front());
    return Resident{SecondsOf(said, "load_seconds"), Whole(said, "kv_bytes_per_token_max", 0, kKvBytesPerTokenMax, 0)};
  }
  if (type == "forked" && message.fds.size() == 1) return Forked{id, std::move(message.fds.front())};
  if (type == "fork_failed") {
    const auto why = message.body.find("message");
    pool::ProcessExit exit{.status = -1};
    if (why != message.body.end() && why->is_string()) exit.last_line = why->get<std::string>().substr(0, 256);
    return WorkerEnded{id, std::move(exit)};
  }
  if (type == "exited") return WorkerEnded{id, ExitOf(message.body)};
  Accuse("it sent over its channel what no zygote sends");
  return std::nullopt;
}

void ZygoteProcess::Accuse(std::string lie) {
  if (lie_.empty()) lie_ = "ended because it did what it must not: " + std::move(lie);
  Kill();
}

void ZygoteProcess::ReadLog() {
  if (stderr_fd() < 0) return;
  int waiting = 0;
  if (ioctl(process_.stderr_fd(), FIONREAD, &waiting) == 0) {
    log_bytes_.Count(waiting, std::chrono::steady_clock::now());
  }
  log_.Take(process_.ReadStderr());
}

std::optional<pool::ProcessExit> ZygoteProcess::TryReap() {
  if (!channel_ && std::chrono::steady_clock::now() - closed_at_ > kEndGrace) Kill();
  auto exit = process_.TryReap();
  if (!exit) return std::nullopt;
  ReadLog();
  exit->last_line = lie_.empty() ? log_.LastWords() : lie_;
  return exit;
}

Status ZygoteProcess::Fork(const zygote::WorkerSpec& spec, const std::vector<int>& fds) {
  nlohmann::json request = zygote::ToJson(spec);
  request["type"] = "fork";
  return channel_.Send(request, fds);
}

}  // namespace allod::inference::node::process
