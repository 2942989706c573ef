// Events out, in the program.
#pragma once

#include <memory>

#include "services/billing/room.h"

namespace allod::billing::events {

std::unique_ptr<RoomPlan> PlanRoom();

}  // namespace allod::billing::events
