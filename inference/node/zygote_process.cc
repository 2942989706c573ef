#include "inference/node/zygote_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "inference/sandbox/namespaces.h"
#include "services/common/log.h"

namespace allod::inference::node {
namespace {

constexpr std::int64_t kKvBytesPerTokenMax = 64 << 20;
constexpr int kMessagesAtOnceMax = 64;
// A zygote that closed its channel has this long to end.
constexpr std::chrono::seconds kEndGrace{1};

// What a message says may be anything: a zygote reads foreign models.
template <typename T>
T Field(const nlohmann::json& body, const char* name, T otherwise) {
  const auto found = body.find(name);
  return found != body.end() && found->is_number() ? found->get<T>() : otherwise;
}

}  // namespace

Result<ZygoteProcess> ZygoteProcess::Start(const ZygoteOptions& options) {
  const OwnedFd model(open(options.model.c_str(), O_RDONLY | O_CLOEXEC));
  if (!model) {
    return NotFound(fmt::format("artifact {} cannot be opened: {}", options.sha256, std::strerror(errno)));
  }
  ALLOD_TRY(auto channels, zygote::Channel::MakePair());
  ChildOptions child{.command = {options.executable.string(), "--sha256", options.sha256},
                     .inherit = {channels.second.fd(), model.get()}};
  if (options.private_weights) child.command.emplace_back("--private-weights");
  if (options.strict) child.command.emplace_back("--strict");
  ALLOD_TRY(ChildProcess process, ChildProcess::Start(child));
  return ZygoteProcess(std::move(process), std::move(channels.first), options);
}

// The zygote left the host's user namespace and has no ids yet.
void ZygoteProcess::MapUids() {
  std::uint32_t uids = 0;
  if (geteuid() == 0 && first_uid_ != 0 && sandbox::WriteUidMaps(process_.pid(), first_uid_, sandbox::kUidsPerZygote)) {
    uids = sandbox::kUidsPerZygote;
  } else if (const Status mapped = sandbox::WriteUidMaps(process_.pid(), geteuid(), 1); mapped) {
    uids = 1;
  } else {
    Log(LogLevel::kWarning, "a zygote got no uids", {{"error", mapped.error().message}});
  }
  (void)channel_.Send({{"type", "mapped"}, {"uids", uids}});
}

std::vector<ZygoteProcess::Event> ZygoteProcess::ReadEvents() {
  std::vector<Event> out;
  // Bounded: one that never stops talking must not hold the agent.
  for (int round = 0; channel_ && round < kMessagesAtOnceMax; ++round) {
    auto received = channel_.Receive(/*wait=*/false);
    if (!received) {
      // Gone, and about to end by itself; or no longer to be understood.
      if (received.error().reason != "CHANNEL_CLOSED") Kill();
      channel_ = zygote::Channel();
      closed_at_ = std::chrono::steady_clock::now();
      break;
    }
    if (!*received) break;
    zygote::Message& message = **received;
    const std::string type = message.type();
    const auto id = Field<std::uint64_t>(message.body, "id", 0);
    if (type == "map") {
      MapUids();
    } else if (type == "resident") {
      const auto facts = message.body.find("facts");
      const bool has_facts = facts != message.body.end() && facts->is_object();
      const double seconds = has_facts ? Field<double>(*facts, "load_seconds", 0) : 0;
      const auto kv = has_facts ? Field<std::int64_t>(*facts, "kv_bytes_per_token_max", 0) : 0;
      if (!message.fds.empty()) smaps_rollup_ = std::move(message.fds.front());
      out.emplace_back(Resident{seconds, std::clamp<std::int64_t>(kv, 0, kKvBytesPerTokenMax)});
    } else if (type == "forked" && message.fds.size() == 1) {
      out.emplace_back(Forked{id, std::move(message.fds.front())});
    } else if (type == "fork_failed") {
      const auto why = message.body.find("message");
      ProcessExit exit{.status = -1};
      if (why != message.body.end() && why->is_string()) exit.last_line = why->get<std::string>().substr(0, 256);
      out.emplace_back(WorkerEnded{id, std::move(exit)});
    } else if (type == "exited") {
      ProcessExit exit;
      if (message.body.contains("signal")) {
        exit.signal = Field<int>(message.body, "signal", SIGKILL);
      } else {
        exit.status = Field<int>(message.body, "status", -1);
      }
      out.emplace_back(WorkerEnded{id, std::move(exit)});
    }
  }
  return out;
}

std::optional<ProcessExit> ZygoteProcess::TryReap() {
  if (!channel_ && std::chrono::steady_clock::now() - closed_at_ > kEndGrace) Kill();
  auto exit = process_.TryReap();
  if (!exit) return std::nullopt;
  ReadLog();
  exit->last_line = log_.LastWords();
  return exit;
}

Status ZygoteProcess::Fork(const zygote::WorkerSpec& spec, const std::vector<int>& fds) {
  nlohmann::json request = zygote::ToJson(spec);
  request["type"] = "fork";
  return channel_.Send(request, fds);
}

}  // namespace allod::inference::node
