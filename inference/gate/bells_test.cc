// Who rings without end is not heard for a while, and then named; others are heard all the while.

#include "inference/gate/bells.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

#include "inference/gate/arbiter.h"
#include "inference/gate/gate_client.h"

namespace allod::inference::gate::bells_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class BellsTest : public testing::Test {
 protected:
  void Ring(const OwnedFd& bell, int times = 1) {
    const std::uint64_t one = 1;
    for (int i = 0; i < times; ++i) {
      if (write(bell.get(), &one, sizeof(one)) < 0) Hear();
    }
  }
  // Whom the epoll set names now.
  std::vector<std::uint64_t> Rung() {
    std::array<epoll_event, 8> events{};
    const int count = epoll_wait(epoll_.get(), events.data(), events.size(), 0);
    std::vector<std::uint64_t> out;
    for (int i = 0; i < count; ++i) out.push_back(events[static_cast<std::size_t>(i)].data.u64);
    return out;
  }
  void Hear() {
    for (auto rung = Rung(); !rung.empty(); rung = Rung()) bells_.Listen(rung, now_);
  }
  void NextSecond() {
    now_ += seconds(1);
    bells_.Listen({}, now_);
  }

  OwnedFd epoll_{epoll_create1(EPOLL_CLOEXEC)};
  Bells bells_{epoll_.get()};
  Bells::SteadyTime now_{seconds(1000)};
};

TEST_F(BellsTest, WhoRingsIsKnown) {
  const OwnedFd a = *bells_.Make(1, now_);
  const OwnedFd b = *bells_.Make(2, now_);
  EXPECT_TRUE(Rung().empty());
  Ring(b);
  EXPECT_EQ(Rung(), std::vector<std::uint64_t>{2});
  Hear();
  EXPECT_TRUE(Rung().empty());
}

TEST_F(BellsTest, OneThatRingsTooOftenIsNotHeardForTheRestOfTheSecond) {
  const OwnedFd flood = *bells_.Make(1, now_);
  const OwnedFd honest = *bells_.Make(2, now_);
  Ring(flood, kRingsPerSecondMax + 1000);
  Hear();
  EXPECT_TRUE(bells_.AnyMuted());
  Ring(flood);
  Ring(honest);
  EXPECT_EQ(Rung(), std::vector<std::uint64_t>{2});
  Hear();
  NextSecond();
  EXPECT_FALSE(bells_.AnyMuted());
  EXPECT_EQ(Rung(), std::vector<std::uint64_t>{1});
  EXPECT_TRUE(bells_.TakeFlooding().empty());  // once may be a mishap
}

TEST_F(BellsTest, OneThatDoesItForSecondsIsNamedOnce) {
  const OwnedFd flood = *bells_.Make(1, now_);
  const OwnedFd honest = *bells_.Make(2, now_);
  std::vector<std::uint64_t> named;
  for (int second = 0; second < kFloodSeconds + 3; ++second) {
    Ring(flood, kRingsPerSecondMax + 1000);
    Ring(honest, 1000);
    Hear();
    NextSecond();
    for (const std::uint64_t id : bells_.TakeFlooding()) named.push_back(id);
  }
  EXPECT_EQ(named, std::vector<std::uint64_t>{1});
}

TEST_F(BellsTest, ABellThatIsGoneIsNeitherHeardNorNamed) {
  OwnedFd flood = *bells_.Make(1, now_);
  Ring(flood, kRingsPerSecondMax + 1000);
  Hear();
  bells_.Remove(1);
  EXPECT_FALSE(bells_.AnyMuted());
  NextSecond();
  EXPECT_TRUE(bells_.TakeFlooding().empty());
  EXPECT_TRUE(Rung().empty());
}

TEST_F(BellsTest, OneThatClosedItsEndIsSilent) {
  OwnedFd bell = *bells_.Make(1, now_);
  Ring(bell);
  bell.Reset();
  Hear();
  NextSecond();
  EXPECT_TRUE(Rung().empty());
}

TEST_F(BellsTest, AWorkerCannotMakeTheListenerWait) {
  const OwnedFd bell = *bells_.Make(1, now_);
  fcntl(bell.get(), F_SETFL, 0);
  const std::uint64_t one[] = {1};
  bells_.Listen(one, now_);  // nothing was rung: a read that waits would never return
}

TEST(ArbiterBells, AFloodHarmsNobodyAndIsNamed) {
  Arbiter arbiter({.cores = 1});
  std::array<WorkerPage, 2> pages{};
  const OwnedFd flood = *arbiter.MakeBell(1);
  const OwnedFd bell = *arbiter.MakeBell(2);
  arbiter.Add(1, pages[0], "flood", 1, 1);
  arbiter.Add(2, pages[1], "honest", 1, 1);
  std::atomic<bool> stop = false;
  std::thread hostile([&] {
    const std::array<std::uint64_t, 64> many{};
    while (!stop) (void)!write(flood.get(), many.data(), sizeof(many));
  });
  GateClient honest(pages[1], bell.get());
  std::vector<std::uint64_t> named;
  const auto deadline = std::chrono::steady_clock::now() + seconds(30);
  while (named.empty() && std::chrono::steady_clock::now() < deadline) {
    honest.Begin();
    honest.End(0, 1);
    honest.Rest();
    std::this_thread::sleep_for(milliseconds(1));
    named = arbiter.TakeFlooding();
  }
  stop = true;
  hostile.join();
  EXPECT_EQ(named, std::vector<std::uint64_t>{1});
  EXPECT_GE(arbiter.figures().turns, 100U);
  arbiter.Remove(1);
  arbiter.Remove(2);
}

}  // namespace
}  // namespace allod::inference::gate::bells_test
