// Stands where allod-worker stands and lies: a model's process that was taken over while loading, or workers of it that
// were. A test program.
//
// Speaks the protocol (inference/zygote) and is honest but for one thing. A worker's lie is the last segment of its
// instance's name; a zygote's lie is the model file's text: "honest", or one of those in main().

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <string>
#include <thread>

#include "inference/gate/worker_page.h"
#include "inference/usage/ring_mapping.h"
#include "inference/usage/ring_recorder.h"
#include "inference/zygote/zygote.h"
#include "services/common/ids.h"

namespace allod::inference {
namespace {

using std::chrono::milliseconds;

constexpr int kControlFd = 3;
constexpr int kModelFd = 4;

// What a worker of ours has, to lie with.
struct Worker {
  zygote::Channel control;
  ports::Member member;
  gate::WorkerPage* page;
  usage::RingMapping ring;
  OwnedFd bell;
};

// A closed slot that is honest until `spoil` is done with it.
void CloseSlot(Worker& worker, const std::function<void(usage::RingSlot&)>& spoil, std::uint32_t index = 0) {
  usage::RingSlot& slot = worker.ring.slot(index);
  const Uuid request = Uuid::FromName("a request of " + worker.member.instance);
  const Uuid tenant = *Uuid::Parse(worker.member.tenant_uid);
  std::memcpy(slot.request_id, request.bytes().data(), sizeof(slot.request_id));
  std::memcpy(slot.tenant_uid, tenant.bytes().data(), sizeof(slot.tenant_uid));
  worker.member.instance.copy(slot.instance, sizeof(slot.instance) - 1);
  slot.sequence = 1;
  slot.outcome = static_cast<std::uint32_t>(ports::UsageOutcome::kCompleted);
  slot.prompt_tokens = 5;
  slot.sampled_tokens = 3;
  spoil(slot);
  slot.state = usage::SlotState::kClosed;
  worker.ring.head().closed_total.fetch_add(1);
}

[[noreturn]] void Flood(const std::function<void()>& once) {
  while (true) once();
}

const std::map<std::string, std::function<void(Worker&)>>& Lies() {
  static const std::map<std::string, std::function<void(Worker&)>> all = {
      {"honest", [](Worker& w) { CloseSlot(w, [](auto&) {}); }},
      {"another-tenants-id",
       [](Worker& w) {
         CloseSlot(w, [](usage::RingSlot& slot) {
           const Uuid other = Uuid::FromName("tenants/t1");
           std::memcpy(slot.tenant_uid, other.bytes().data(), sizeof(slot.tenant_uid));
         });
       }},
      {"another-instance",
       [](Worker& w) {
         CloseSlot(w, [](usage::RingSlot& slot) {
           std::memset(slot.instance, 0, sizeof(slot.instance));
           std::strcpy(slot.instance, "tenants/t1/projects/p/instances/honest");  // NOLINT
         });
       }},
      {"negative-tokens", [](Worker& w) { CloseSlot(w, [](auto& slot) { slot.sampled_tokens = -1'000'000; }); }},
      {"huge-tokens", [](Worker& w) { CloseSlot(w, [](auto& slot) { slot.prompt_tokens = INT64_MAX; }); }},
      {"no-such-outcome", [](Worker& w) { CloseSlot(w, [](auto& slot) { slot.outcome = 4711; }); }},
      {"usage-flood",
       [](Worker& w) {
         Flood([&] {
           for (std::uint32_t i = 0; i < w.ring.slot_count(); ++i)
             CloseSlot(
                 w, [](auto&) {}, i);
           std::this_thread::yield();
         });
       }},
      {"huge-figures", [](Worker& w) { w.page->completion_tokens_total = UINT64_MAX; }},
      {"shrinking-figures",
       [](Worker& w) {
         w.page->turns = 500;
         std::this_thread::sleep_for(milliseconds(2500));
         w.page->turns = 3;
       }},
      {"too-many-requests", [](Worker& w) { w.page->active_requests = UINT32_MAX; }},
      {"gate-flood",
       [](Worker& w) {
         Flood([&] {
           const std::array<std::uint64_t, 64> many{};
           (void)!write(w.bell.get(), many.data(), sizeof(many));
         });
       }},
      {"control-flood", [](Worker& w) { Flood([&] {
                                          (void)w.control.Send({{"type", "ready"}});
                                        }); }},
      {"no-message", [](Worker& w) { (void)!write(w.control.fd(), "{", 1); }},
  };
  return all;
}

int RunWorker(zygote::WorkerStart start) {
  zygote::Channel control(std::move(start.fds[zygote::kFdControl]));
  auto assigned = zygote::AwaitAssignment(control);
  if (!assigned) return 0;
  void* page = mmap(nullptr, gate::kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, start.fds[zygote::kFdPage].get(), 0);
  auto ring = usage::RingMapping::FromFd(assigned->fds[zygote::kFdRing].get());
  if (page == MAP_FAILED || !ring) return 1;
  Worker worker{std::move(control), assigned->members.front(), static_cast<gate::WorkerPage*>(page), *std::move(ring),
                std::move(start.fds[zygote::kFdGate])};
  const std::string lie = worker.member.instance.substr(worker.member.instance.rfind('/') + 1);
  if (lie == "foreign-memory") {
    int ends[2];
    (void)!pipe(ends);
    // A read of this would never return.
    (void)worker.control.Send({{"type", "ready"}, {"layers", {"seccomp"}}}, {ends[0]});
  } else if (lie == "log-flood") {
    (void)worker.control.Send({{"type", "ready"}, {"layers", {"seccomp"}}});
    const std::string line(4096, 'x');
    Flood([&] { std::cerr << line << '\n'; });
  } else {
    (void)worker.control.Send({{"type", "ready"}, {"layers", {"seccomp"}}}, {start.smaps_rollup.get()});
  }
  // Whoever looks sees it ready first.
  std::this_thread::sleep_for(milliseconds(300));
  if (const auto found = Lies().find(lie); found != Lies().end()) found->second(worker);
  while (true) {
    const auto message = worker.control.Receive();
    if (!message || (*message)->type() == "stop") return 0;
  }
}

// A zygote that never was one of ours.
int LyingZygote(const std::string& lie, const std::string& stranger) {
  zygote::Channel channel{OwnedFd(kControlFd)};
  const auto resident = [&](const nlohmann::json& facts) {
    (void)channel.Send({{"type", "resident"}, {"facts", facts}});
  };
  if (lie == "senseless-facts") {
    resident({{"load_seconds", -1e300}, {"kv_bytes_per_token_max", INT64_MIN}});
  } else {
    resident({{"load_seconds", 0}, {"kv_bytes_per_token_max", 1}});
  }
  if (lie == "message-flood") Flood([&] { (void)channel.Send({{"type", "exited"}, {"id", 0}}); });
  if (lie == "unknown-message") (void)channel.Send({{"type", "give me the keys"}});
  while (true) {
    const auto message = channel.Receive();
    if (!message) return 0;
    const auto id = (*message)->body.value("id", 0ULL);
    const OwnedFd directory(
        open(("/proc/" + (stranger == "0" ? "self" : stranger)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    (void)channel.Send({{"type", "forked"}, {"id", id}}, {directory.get()});
  }
}

int HonestZygote() {
  fcntl(kControlFd, F_SETFD, FD_CLOEXEC);
  auto zygote = zygote::Zygote::Enter(zygote::Channel(OwnedFd(kControlFd)), {});
  if (!zygote) return 1;
  close(kModelFd);
  if (!zygote->AnnounceResident({{"load_seconds", 0}, {"kv_bytes_per_token_max", 1}})) return 0;
  return zygote->Serve(RunWorker) ? 0 : 1;
}

}  // namespace
}  // namespace allod::inference

int main() {
  // "lie stranger's-pid rubbish"
  std::array<char, 256> text{};
  (void)!pread(4, text.data(), text.size() - 1, 0);
  const std::string all(text.data());
  const std::string lie = all.substr(0, all.find(' '));
  if (lie == "honest") return allod::inference::HonestZygote();
  const std::string rest = all.substr(lie.size() + 1);
  return allod::inference::LyingZygote(lie, rest.substr(0, rest.find(' ')));
}
