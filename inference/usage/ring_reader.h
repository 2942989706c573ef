// The node agent's side of a usage ring: reads what was closed, and closes what a dead worker left open. For one thread
// at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "inference/usage/ring_check.h"
#include "inference/usage/ring_file.h"

namespace allod::inference::usage {

class RingReader {
 public:
  explicit RingReader(RingFile ring) : ring_(std::move(ring)) {}

  int fd() const { return ring_.fd(); }
  // See RingFile::Restore.
  Result<bool> Restore() { return ring_.Restore(); }
  // The worker is gone: every open slot becomes closed, as lost.
  Status CloseOpen();
  // Closed slots, oldest first, at most `max`; they stay until Free. They say what the worker wrote: see Judge.
  Result<std::vector<SlotContent>> Closed(std::size_t max) const;
  // After the slot's event is safe elsewhere.
  Status Free(std::uint32_t slot);
  // Nothing open and nothing closed.
  Result<bool> Empty() const;
  // Grows with each closed slot: something to collect.
  Result<std::uint64_t> closed_total() const { return ring_.ClosedTotal(); }

 private:
  RingFile ring_;
};

}  // namespace allod::inference::usage
