{
  'variables': {
    # One list of sources, read by CMakeLists.txt too.
    'native_sources': [
      'native/addon.cc',
      'native/checksum.cc',
      'native/gso.cc',
      'native/netlink.cc',
      'native/netlink_socket.cc',
      'native/packet_batch.cc',
      'native/tun_device.cc',
      'native/tun_linux.cc',
    ],
  },
  'targets': [
    {
      'target_name': 'tunstack',
      'conditions': [
        ['OS=="linux"', {
          'sources': ['<@(native_sources)'],
          'include_dirs': ["<!(node -p \"require('node-addon-api').include_dir\")"],
          'defines': [
            'NAPI_VERSION=8',
            'NODE_ADDON_API_DISABLE_DEPRECATED',
            'NODE_API_NO_EXTERNAL_BUFFERS_ALLOWED',
            'NAPI_DISABLE_CPP_EXCEPTIONS',
            # A worker that is terminated in the midst of a call: what cannot be thrown any more is no fatal error.
            'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
          ],
          'cflags_cc!': ['-std=gnu++17', '-std=gnu++20'],
          'cflags_cc': [
            '-std=c++17',
            '-O2',
            '-Wall',
            '-Wextra',
            '-fno-exceptions',
            '-fno-rtti',
            '-fno-omit-frame-pointer',
            '-fvisibility=hidden',
          ],
        }, {
          'type': 'none',
        }],
      ],
    },
  ],
}
