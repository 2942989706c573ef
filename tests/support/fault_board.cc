#include "tests/support/fault_board.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <stdexcept>

namespace allod {

FaultBoard::FaultBoard() {
  const int fd = ::open((dir_ / "page").c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 || ::ftruncate(fd, sizeof(FaultPage)) != 0) throw std::runtime_error("cannot make a fault page");
  void* page = ::mmap(nullptr, sizeof(FaultPage), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (page == MAP_FAILED) throw std::runtime_error("cannot map a fault page");
  page_ = static_cast<FaultPage*>(page);
}

FaultBoard::~FaultBoard() { ::munmap(page_, sizeof(FaultPage)); }

std::string FaultBoard::environment() const { return std::string(kFaultPageVariable) + "=" + path(); }

void FaultBoard::Arm(FaultPoint point, FaultAction action, std::uint64_t nth, std::chrono::milliseconds delay) {
  FaultCell& cell = Cell(point);
  cell.fire_at = 0;
  cell.action = action;
  cell.delay_ms = static_cast<std::uint32_t>(delay.count());
  cell.fire_at = cell.hits + nth;
}

void FaultBoard::Disarm(FaultPoint point) { Cell(point).fire_at = 0; }

}  // namespace allod
