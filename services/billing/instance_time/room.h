// For how long replicas answered, in the program.
#pragma once

#include <memory>

#include "services/billing/room.h"

namespace allod::billing::instance_time {

std::unique_ptr<RoomPlan> PlanRoom();

}  // namespace allod::billing::instance_time
