// What mlx-rs expects of mlx-c and the C library, and does not find on x86-64 Linux.
#include <cstdint>
#include <ctime>
#include "mlx/c/array.h"
#include "mlx/c/error.h"
#include "mlx/c/private/mlx.h"

#ifndef HAS_FLOAT16
// mlx-c has these only where the compiler has the types; the bits are the same everywhere (half.rs).
extern "C" int mlx_array_item_float16(uint16_t* result, const mlx_array array) {
  try {
    auto value = mlx_array_get_(array).item<mlx::core::float16_t>();
    static_assert(sizeof(value) == sizeof(*result));
    __builtin_memcpy(result, &value, sizeof(value));
    return 0;
  } catch (std::exception& e) {
    mlx_error("%s", e.what());
    return 1;
  }
}
extern "C" int mlx_array_item_bfloat16(uint16_t* result, const mlx_array array) {
  try {
    auto value = mlx_array_get_(array).item<mlx::core::bfloat16_t>();
    static_assert(sizeof(value) == sizeof(*result));
    __builtin_memcpy(result, &value, sizeof(value));
    return 0;
  } catch (std::exception& e) {
    mlx_error("%s", e.what());
    return 1;
  }
}
extern "C" const uint16_t* mlx_array_data_float16(const mlx_array array) {
  try {
    return reinterpret_cast<const uint16_t*>(mlx_array_get_(array).data<mlx::core::float16_t>());
  } catch (std::exception& e) {
    mlx_error("%s", e.what());
    return nullptr;
  }
}
extern "C" const uint16_t* mlx_array_data_bfloat16(const mlx_array array) {
  try {
    return reinterpret_cast<const uint16_t*>(mlx_array_get_(array).data<mlx::core::bfloat16_t>());
  } catch (std::exception& e) {
    mlx_error("%s", e.what());
    return nullptr;
  }
}
#endif

// mlx-rs seeds its random state with Mach's clock.
extern "C" uint64_t mach_approximate_time() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return uint64_t(now.tv_sec) * 1000000000u + uint64_t(now.tv_nsec);
}
