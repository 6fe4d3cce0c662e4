# Warnings, sanitizers and hardening, for our own code; generated code calls quartet_generated() instead.
add_compile_options(-fno-common -fno-strict-aliasing)
set(QUARTET_WARNINGS
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wcast-qual -Wformat=2
    -Wwrite-strings)
if(CMAKE_C_COMPILER_ID MATCHES Clang)
  list(APPEND QUARTET_WARNINGS -Wno-string-conversion) # QASSERT(!"what was impossible")
endif()
if((ASAN OR UBSAN OR TSAN) AND CMAKE_C_COMPILER_ID STREQUAL GNU)
  # What gcc says about lengths is wrong where a sanitizer's checks split the flow; the release build says it rightly.
  list(APPEND QUARTET_WARNINGS -Wno-stringop-overread -Wno-stringop-overflow -Wno-format-truncation -Wno-maybe-uninitialized)
endif()
if(WERROR)
  list(APPEND QUARTET_WARNINGS -Werror)
endif()
if(ASAN)
  add_compile_options(-fsanitize=address -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address)
endif()
if(UBSAN)
  add_compile_options(-fsanitize=undefined -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=undefined)
endif()
if(TSAN)
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-D_FORTIFY_SOURCE=2 -fstack-protector-strong)
  # Asserts of ours (QASSERT) do not depend on NDEBUG.
endif()
set(QUARTET_LTO OFF)
if(LTO AND CMAKE_BUILD_TYPE STREQUAL "Release" AND CMAKE_C_COMPILER_ID STREQUAL GNU)
  set(QUARTET_LTO ON) # the layers' objects hold both: ready code, and what cmake/whole.cmake makes one object of
  add_link_options(-fno-lto)
endif()
add_compile_definitions(_GNU_SOURCE)

# A library of one folder: all its .c files.
function(quartet_layer name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  if(NOT sources) # a folder of headers only still is a library to link
    set(sources ${CMAKE_CURRENT_BINARY_DIR}/no_sources.c)
    file(WRITE ${sources} "extern int quartet_${name}_has_no_sources;\n")
  endif()
  add_library(qt_${name} STATIC ${sources})
  target_compile_options(qt_${name} PRIVATE ${QUARTET_WARNINGS} $<$<BOOL:${QUARTET_LTO}>:-flto=auto;-ffat-lto-objects>)
  target_include_directories(qt_${name} PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(qt_${name} PUBLIC ${ARGN})
endfunction()

if(PLANTED_BUGS)
  add_compile_definitions(QUARTET_PLANTED_BUGS)
endif()
