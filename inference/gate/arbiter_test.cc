// The arbiter with real clients, each a thread with a page of its own as a worker process has it.

#include "inference/gate/arbiter.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <new>

#include "inference/gate/gate_client.h"

namespace allod::inference::gate::arbiter_test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(20);

bool Eventually(const std::function<bool()>& check) {
  const auto deadline = steady_clock::now() + kPatience;
  while (!check()) {
    if (steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(microseconds(200));
  }
  return true;
}

// A page as the node agent makes it.
class SharedPage {
 public:
  SharedPage() : fd_(memfd_create("page", MFD_CLOEXEC)) {
    if (ftruncate(fd_, kPageBytes) != 0) throw std::bad_alloc();
    void* base = mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (base == MAP_FAILED) throw std::bad_alloc();
    page_ = new (base) WorkerPage{};
  }
  ~SharedPage() {
    munmap(page_, kPageBytes);
    close(fd_);
  }
  SharedPage(const SharedPage&) = delete;
  SharedPage& operator=(const SharedPage&) = delete;
  WorkerPage& operator*() const { return *page_; }
  WorkerPage* operator->() const { return page_; }

 private:
  int fd_;
  WorkerPage* page_;
};

// A worker: takes turns until it is told to stop, then rests.
class Looping {
 public:
  // `step` is what it does in a turn.
  Looping(Arbiter& arbiter, std::uint64_t id, std::string tenant, std::function<void()> step, int cores = 1,
          double weight = 1, int tokens = 1)
      : arbiter_(arbiter), id_(id), client_(*page_, arbiter.event_fd()) {
    arbiter.Add(id, *page_, std::move(tenant), weight, cores);
    thread_ = std::thread([this, step = std::move(step), tokens] {
      while (!stop_) {
        client_.Begin();
        if (stop_) break;
        step();
        ++steps_;
        client_.End(0, tokens);
      }
      client_.Rest();
    });
  }
  ~Looping() {
    Stop();
    arbiter_.Remove(id_);
  }
  void Stop() {
    stop_ = true;
    client_.Interrupt();
    if (thread_.joinable()) thread_.join();
  }
  int steps() const { return steps_; }
  WorkerPage& page() const { return *page_; }

 private:
  Arbiter& arbiter_;
  const std::uint64_t id_;
  SharedPage page_;
  GateClient client_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> steps_ = 0;
  std::thread thread_;
};

void Sleep(microseconds time) { std::this_thread::sleep_for(time); }

// Counts who is inside at once.
struct Room {
  std::atomic<int> inside = 0;
  std::atomic<int> most = 0;
  void Visit() {
    const int now = ++inside;
    int seen = most;
    while (seen < now && !most.compare_exchange_weak(seen, now)) {
    }
    Sleep(microseconds(300));
    --inside;
  }
};

TEST(Arbiter, OneComputesAtATime) {
  Arbiter arbiter({.cores = 1});
  Room room;
  std::vector<std::unique_ptr<Looping>> workers;
  for (std::uint64_t i = 0; i < 6; ++i) {
    workers.push_back(std::make_unique<Looping>(arbiter, i, "t" + std::to_string(i), [&] { room.Visit(); }));
  }
  for (const auto& worker : workers) EXPECT_TRUE(Eventually([&] { return worker->steps() >= 20; }));
  for (const auto& worker : workers) worker->Stop();
  EXPECT_EQ(room.most, 1);
}

TEST(Arbiter, AsManyComputeAsThereAreCoresFor) {
  Arbiter arbiter({.cores = 3});
  Room narrow;
  Room wide;
  {
    Looping a(arbiter, 1, "a", [&] { narrow.Visit(); });
    Looping b(arbiter, 2, "b", [&] { narrow.Visit(); });
    Looping c(arbiter, 3, "c", [&] { narrow.Visit(); });
    Looping d(arbiter, 4, "d", [&] { narrow.Visit(); });
    // Needs all, and gets its turn beside those that need one only: it is not passed over for ever.
    Looping e(
        arbiter, 5, "e",
        [&] {
          EXPECT_EQ(narrow.inside, 0);
          wide.Visit();
        },
        /*cores=*/100);
    EXPECT_TRUE(Eventually([&] { return e.steps() >= 10 && a.steps() >= 10 && narrow.most == 3; }));
  }
  EXPECT_EQ(narrow.most, 3);
  EXPECT_EQ(wide.most, 1);
  EXPECT_EQ(arbiter.figures().workers, 0);
}

TEST(Arbiter, HandsOverByTimeAndWeights) {
  Arbiter arbiter({.cores = 1});
  // A millisecond a step against four, and a weight of 2 against 1: eight steps to one, whatever they count.
  Looping light(
      arbiter, 1, "light", [] { Sleep(microseconds(1000)); }, 1, /*weight=*/2, /*tokens=*/1000);
  Looping heavy(
      arbiter, 2, "heavy", [] { Sleep(microseconds(4000)); }, 1, /*weight=*/1, /*tokens=*/1);
  ASSERT_TRUE(Eventually([&] { return heavy.steps() >= 5; }));
  const int light_from = light.steps();
  const int heavy_from = heavy.steps();
  ASSERT_TRUE(Eventually([&] { return heavy.steps() >= heavy_from + 30; }));
  const double ratio = static_cast<double>(light.steps() - light_from) / (heavy.steps() - heavy_from);
  EXPECT_GT(ratio, 5);
  EXPECT_LT(ratio, 11);
}

TEST(Arbiter, TimeThatAWorkerUsesOutsideOfItsTurnsIsChargedToo) {
  Arbiter arbiter({.cores = 1});
  // Each step of the compiler's comes with twice its time spent on requests that it refused.
  SharedPage page;
  GateClient compiler(*page, arbiter.event_fd());
  arbiter.Add(1, *page, "compiler", 1, 1);
  std::atomic<bool> stop = false;
  std::atomic<int> steps = 0;
  std::thread compiling([&] {
    while (!stop) {
      compiler.Begin();
      if (stop) break;
      Sleep(microseconds(1000));
      ++steps;
      compiler.End(0, 1);
      compiler.SpentAside(milliseconds(2));
    }
    compiler.Rest();
  });
  {
    Looping plain(arbiter, 2, "plain", [] { Sleep(microseconds(1000)); });
    ASSERT_TRUE(Eventually([&] { return plain.steps() >= 10 && steps >= 5; }));
    const int plain_from = plain.steps();
    const int from = steps;
    ASSERT_TRUE(Eventually([&] { return steps >= from + 40; }));
    EXPECT_GE(plain.steps() - plain_from, 70);
  }
  stop = true;
  compiler.Interrupt();
  compiling.join();
  arbiter.Remove(1);
}

TEST(Arbiter, OneThatComesReadsItsPromptInOneClaimAndThenTheOthersCatchUp) {
  Arbiter arbiter({.cores = 1, .turns = {.contended = milliseconds(5), .first = milliseconds(200)}});
  Looping flood(arbiter, 1, "flood", [] { Sleep(milliseconds(2)); });
  ASSERT_TRUE(Eventually([&] { return flood.steps() >= 10; }));
  SharedPage page;
  arbiter.Add(2, *page, "comes", 1, 1);
  GateClient client(*page, arbiter.event_fd());
  const ports::TurnGate::Turn first = client.Begin();
  EXPECT_EQ(first.budget, microseconds(200'000));
  EXPECT_TRUE(first.contended);
  // Three pieces of a prompt, the last with the first token: nobody comes between them.
  const int from = flood.steps();
  for (int i = 0; i < 3; ++i) {
    Sleep(milliseconds(20));
    client.End(16, i == 2 ? 1 : 0);
    if (i < 2) {
      const ports::TurnGate::Turn next = client.Begin();
      EXPECT_LT(next.budget, microseconds(200'000));
      EXPECT_GT(next.budget, microseconds(5'000));
    }
  }
  EXPECT_EQ(flood.steps(), from);
  // Then it has decoded, and its claim is over: the flood has 60 ms to catch up.
  EXPECT_EQ(client.Begin().budget, microseconds(5'000));
  EXPECT_GE(flood.steps() - from, 15);
  client.End(0, 1);
  client.Rest();
  flood.Stop();
  arbiter.Remove(2);
}

TEST(Arbiter, AManyHandedTenantGetsOneShare) {
  Arbiter arbiter({.cores = 1});
  std::vector<std::unique_ptr<Looping>> flood;
  for (std::uint64_t i = 0; i < 5; ++i) {
    flood.push_back(std::make_unique<Looping>(arbiter, i, "flood", [] { Sleep(microseconds(1000)); }));
  }
  ASSERT_TRUE(Eventually([&] { return flood[0]->steps() >= 10; }));
  Looping other(arbiter, 99, "other", [] { Sleep(microseconds(1000)); });
  ASSERT_TRUE(Eventually([&] { return other.steps() >= 20; }));
  int before = 0;
  for (const auto& worker : flood) before += worker->steps();
  const int other_before = other.steps();
  ASSERT_TRUE(Eventually([&] { return other.steps() >= other_before + 100; }));
  int after = 0;
  for (const auto& worker : flood) after += worker->steps();
  // Shared is time: on a busy machine a step of one can take longer than a step of the other. Not the flood's five
  // times.
  EXPECT_LE(after - before, 140);
  EXPECT_GE(after - before, 25);
}

TEST(Arbiter, AloneAWorkerIsGrantedOnceForAThousandTurns) {
  Arbiter arbiter({.cores = 1});
  SharedPage page;
  arbiter.Add(1, *page, "a", 1, 1);
  GateClient client(*page, arbiter.event_fd());
  for (int i = 0; i < 1000; ++i) {
    const auto turn = client.Begin();
    EXPECT_FALSE(turn.contended);
    EXPECT_EQ(turn.budget, microseconds(50'000));
    client.End(0, 1);
  }
  EXPECT_EQ(arbiter.figures().grants, 1U);
  client.Rest();
  EXPECT_TRUE(Eventually([&] { return arbiter.figures().holding == 0; }));
  EXPECT_EQ(arbiter.figures().turns, 1000U);
  arbiter.Remove(1);
}

TEST(Arbiter, ShortensTurnsAsSoonAsSomebodyWaits) {
  Arbiter arbiter(
      {.cores = 1, .turns = {.contended = milliseconds(7), .alone = milliseconds(90), .recent = milliseconds(20)}});
  SharedPage first;
  SharedPage second;
  arbiter.Add(1, *first, "a", 1, 1);
  arbiter.Add(2, *second, "b", 1, 1);
  GateClient a(*first, arbiter.event_fd());
  EXPECT_EQ(a.Begin().budget, microseconds(90'000));
  std::thread other([&] {
    GateClient b(*second, arbiter.event_fd());
    b.Begin();
    b.End(0, 1);
    b.Rest();
  });
  EXPECT_TRUE(Eventually([&] { return first->yield == 1; }));
  EXPECT_EQ(first->budget_us, 7'000U);
  a.End(0, 1);
  a.Begin();  // hands over and comes back
  other.join();
  // For a moment they stay short: it may come back.
  EXPECT_TRUE(Eventually([&] { return first->yield == 0 && first->budget_us == 90'000U; }));
  arbiter.Remove(1);
  arbiter.Remove(2);
}

TEST(Arbiter, GoesOnBesideOneThatHoldsItsTurnForEver) {
  Arbiter arbiter({.cores = 1, .turn_stuck = milliseconds(300)});
  std::atomic<bool> let_go = false;
  Looping hostile(arbiter, 1, "hostile", [&] { Eventually([&] { return let_go.load(); }); });
  ASSERT_TRUE(Eventually([&] { return arbiter.figures().holding == 1; }));
  Looping other(arbiter, 2, "other", [] {});
  EXPECT_TRUE(Eventually([&] { return other.steps() >= 10; }));
  EXPECT_EQ(arbiter.figures().stuck, 1U);
  // It comes back to its senses: no core is counted twice.
  let_go = true;
  EXPECT_TRUE(Eventually([&] { return hostile.steps() >= 3; }));
  hostile.Stop();
  other.Stop();
  EXPECT_TRUE(Eventually([&] { return arbiter.figures().holding == 0; }));
  Room room;
  Looping a(arbiter, 3, "a", [&] { room.Visit(); });
  Looping b(arbiter, 4, "b", [&] { room.Visit(); });
  EXPECT_TRUE(Eventually([&] { return a.steps() >= 10 && b.steps() >= 10; }));
  EXPECT_EQ(room.most, 1);
}

TEST(Arbiter, IsNotFooledByOneThatCountsTurnsButNeverYields) {
  Arbiter arbiter({.cores = 1, .turn_stuck = milliseconds(300)});
  Looping hostile(arbiter, 1, "hostile", [] { Sleep(microseconds(100)); });
  ASSERT_TRUE(Eventually([&] { return arbiter.figures().holding == 1; }));
  std::atomic<bool> stop = false;
  std::thread liar([&] {
    while (!stop) {
      hostile.page().yield = 0;  // its client never sees that somebody waits
      std::this_thread::yield();
    }
  });
  Looping other(arbiter, 2, "other", [] {});
  EXPECT_TRUE(Eventually([&] { return other.steps() >= 10; }));
  stop = true;
  liar.join();
}

TEST(Arbiter, WhoCountsNothingIsChargedForItsTime) {
  Arbiter arbiter({.cores = 1});
  Looping hostile(
      arbiter, 1, "hostile", [] { Sleep(milliseconds(2)); }, 1, 1, /*tokens=*/0);
  Looping honest(arbiter, 2, "honest", [] { Sleep(microseconds(100)); });
  EXPECT_TRUE(Eventually([&] { return hostile.steps() >= 20; }));
  const int from = honest.steps();
  EXPECT_TRUE(Eventually([&] { return honest.steps() >= from + 20; }));
}

TEST(Arbiter, TakesTheCoresBackFromOneThatDied) {
  Arbiter arbiter({.cores = 1});
  SharedPage page;
  arbiter.Add(1, *page, "dead", 1, 1);
  GateClient client(*page, arbiter.event_fd());
  client.Begin();  // and then it is killed
  Looping other(arbiter, 2, "other", [] {});
  EXPECT_TRUE(Eventually([&] { return arbiter.figures().waiting == 1; }));
  EXPECT_EQ(other.steps(), 0);
  arbiter.Remove(1);
  EXPECT_TRUE(Eventually([&] { return other.steps() >= 10; }));
  arbiter.Remove(1);  // nothing happens twice
  EXPECT_EQ(arbiter.figures().workers, 1);
}

TEST(Arbiter, TakesAWaitingOneOutToo) {
  Arbiter arbiter({.cores = 1});
  SharedPage holding;
  SharedPage waiting;
  arbiter.Add(1, *holding, "a", 1, 1);
  GateClient(*holding, arbiter.event_fd()).Begin();
  arbiter.Add(2, *waiting, "b", 1, 1);
  GateClient b(*waiting, arbiter.event_fd());
  std::thread waiter([&] { b.Begin(); });
  EXPECT_TRUE(Eventually([&] { return arbiter.figures().waiting == 1; }));
  arbiter.Remove(2);
  b.Interrupt();
  waiter.join();
  EXPECT_EQ(arbiter.figures().waiting, 0);
  EXPECT_TRUE(Eventually([&] { return holding->yield == 0; }));
  arbiter.Remove(1);
}

TEST(Arbiter, InterruptEndsAWaitAtOnce) {
  Arbiter arbiter({.cores = 1});
  SharedPage holding;
  arbiter.Add(1, *holding, "a", 1, 1);
  GateClient(*holding, arbiter.event_fd()).Begin();
  SharedPage waiting;
  arbiter.Add(2, *waiting, "b", 1, 1);
  GateClient b(*waiting, arbiter.event_fd());
  std::thread waiter([&] { b.Begin(); });
  b.Interrupt();
  waiter.join();
  b.Begin();  // and later ones
  arbiter.Remove(2);
  arbiter.Remove(1);
}

TEST(Arbiter, GarbageInAPageHarmsNobodyElse) {
  Arbiter arbiter({.cores = 1, .turn_stuck = milliseconds(300)});
  SharedPage page;
  arbiter.Add(1, *page, "hostile", 1, 1);
  std::atomic<bool> stop = false;
  std::thread hostile([&] {
    std::uint64_t state = 88172645463325252ULL;
    while (!stop) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      page->turn = state % 5 == 0 ? static_cast<std::uint32_t>(state) : static_cast<std::uint32_t>(state % 3);
      page->aside_us = state;
      page->crowded = static_cast<std::uint32_t>(state);
      page->is_claim = static_cast<std::uint32_t>(~state);
      page->turns = state >> 1;
      page->compute_us = state << 1;
      page->yield = static_cast<std::uint32_t>(state);
      page->budget_us = static_cast<std::uint32_t>(state);
      (void)!write(arbiter.event_fd(), &state, sizeof(state));
      Sleep(microseconds(50));
    }
  });
  {
    // Two honest ones go on beside it, and neither starves. (What they share evenly is time: on a busy machine a step
    // may take long.)
    Looping a(arbiter, 2, "a", [] { Sleep(microseconds(200)); });
    Looping b(arbiter, 3, "b", [] { Sleep(microseconds(200)); });
    EXPECT_TRUE(Eventually([&] { return a.steps() >= 50 && b.steps() >= 50; }));
    const int a_from = a.steps();
    const int b_from = b.steps();
    EXPECT_TRUE(Eventually([&] { return a.steps() + b.steps() >= a_from + b_from + 400; }));
    EXPECT_GE(a.steps() - a_from, 80);
    EXPECT_GE(b.steps() - b_from, 80);
  }
  stop = true;
  hostile.join();
  arbiter.Remove(1);
  // No core was lost or made up by it.
  Room room;
  Looping c(arbiter, 4, "c", [&] { room.Visit(); });
  Looping d(arbiter, 5, "d", [&] { room.Visit(); });
  EXPECT_TRUE(Eventually([&] { return c.steps() >= 20 && d.steps() >= 20; }));
  EXPECT_EQ(room.most, 1);
  EXPECT_GE(arbiter.figures().compute_seconds, 0);
  EXPECT_LT(arbiter.figures().turns, 1'000'000'000U);
}

TEST(Arbiter, WorkersCannotReadAwayEachOthersCalls) {
  Arbiter arbiter({.cores = 1});
  char bytes[64];
  EXPECT_LT(read(arbiter.event_fd(), bytes, sizeof(bytes)), 0);
  // Nor silence them by filling what they write to.
  for (int i = 0; i < 100'000; ++i) (void)!write(arbiter.event_fd(), bytes, sizeof(bytes));
  Looping honest(arbiter, 1, "a", [] {});
  EXPECT_TRUE(Eventually([&] { return honest.steps() >= 10; }));
}

}  // namespace
}  // namespace allod::inference::gate::arbiter_test
