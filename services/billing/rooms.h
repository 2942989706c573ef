// The rooms of the program.
#pragma once

#include <memory>
#include <vector>

#include "services/billing/room.h"

namespace allod::billing {

// In the order in which they start.
std::vector<std::unique_ptr<RoomPlan>> PlanRooms();

}  // namespace allod::billing
