// Partitions, roll-ups, reports and retention in the program.
#pragma once

#include <memory>

#include "services/billing/room.h"

namespace allod::billing::analysis {

std::unique_ptr<RoomPlan> PlanRoom();

}  // namespace allod::billing::analysis
