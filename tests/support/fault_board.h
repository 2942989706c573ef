// Arms the fault points of a process: the test's side of a fault page. The process is an `allod-*-armed` program
// (build/ tests) that is started with environment() in its environment. Thread-safe; outlives restarts of the process.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "services/common/fault_point.h"
#include "tests/support/fault_page.h"
#include "tests/support/temp_dir.h"

namespace allod {

class FaultBoard {
 public:
  FaultBoard();  // nothing is armed; throws std::runtime_error
  ~FaultBoard();
  FaultBoard(const FaultBoard&) = delete;

  std::string environment() const;
  std::string path() const { return (dir_ / "page").string(); }

  // At the `nth` time from now on that the point is passed, once. What it was armed with before is forgotten.
  void Arm(FaultPoint point, FaultAction action, std::uint64_t nth = 1,
           std::chrono::milliseconds delay = std::chrono::milliseconds(0));
  void Disarm(FaultPoint point);
  // How often the point was passed, and how often what it was armed with happened.
  std::uint64_t hits(FaultPoint point) const { return Cell(point).hits.load(); }
  std::uint64_t fired(FaultPoint point) const { return Cell(point).fired.load(); }

 private:
  FaultCell& Cell(FaultPoint point) const { return page_->cells[static_cast<std::size_t>(point)]; }

  TempDir dir_;
  FaultPage* page_ = nullptr;
};

}  // namespace allod
