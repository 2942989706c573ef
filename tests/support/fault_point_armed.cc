// What a fault point does in a program that tests may arm. Linked into the programs `allod-*-armed` and into tests that
// arm themselves, never into a release program.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "tests/support/fault_page.h"

namespace allod {
namespace {

FaultPage* MapPage(const char* path) {
  if (path == nullptr) return nullptr;
  const int fd = ::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* page = ::mmap(nullptr, sizeof(FaultPage), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  return page == MAP_FAILED ? nullptr : static_cast<FaultPage*>(page);
}

// Before main(), which takes the file system away.
FaultPage* page = MapPage(std::getenv(kFaultPageVariable));

}  // namespace

void UseFaultPage(const char* path) { page = MapPage(path); }

bool HitFaultPoint(FaultPoint point) {
  if (page == nullptr) return false;
  FaultCell& cell = page->cells[static_cast<std::size_t>(point)];
  const std::uint64_t hit = cell.hits.fetch_add(1) + 1;
  if (hit != cell.fire_at.load()) return false;
  ++cell.fired;
  switch (cell.action.load()) {
    case FaultAction::kNone:
      return false;
    case FaultAction::kKill:
      ::kill(::getpid(), SIGKILL);
      return false;
    case FaultAction::kFail:
      return true;
    case FaultAction::kDelay:
      std::this_thread::sleep_for(std::chrono::milliseconds(cell.delay_ms.load()));
      return false;
  }
  return false;
}

}  // namespace allod
